exports = async () => {
  const { ulid, decodeTime } = require("ulid");
  return [ulid(1469918176385).slice(0, 10), decodeTime("01ARZ3NDEKTSV4RRFFQ69G5FAV"), ulid().length];
};
