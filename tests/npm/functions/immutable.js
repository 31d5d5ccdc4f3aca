exports = async () => {
  const { Map, List, fromJS } = require("immutable");
  return [Map({ a: 1 }).set("b", 2).toJS(), List([3, 1]).sort().toArray(), fromJS({ a: { b: [1] } }).getIn(["a", "b", 0]), Map({ a: 1 }).equals(Map({ a: 1 })), String(Map({ a: 1 }))];
};
