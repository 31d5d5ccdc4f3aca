// What `context` holds (functions-runtime.md §2).
//- functions/members.js
exports = () => Object.keys(context).sort();
//= members
//> ["app","environment","functions","http","request","runningAsSystem","services","user","values"]
//- functions/user.js
exports = () => context.user;
//= user
//> {"id":"%USER%","type":"normal","data":{"email":"alice@example.com"},"custom_data":{},"identities":[{"id":"…","provider_type":"local-userpass",…,"data":{"email":"alice@example.com"}}]}
//- functions/app.js
exports = () => context.app;
//= app
//> {"id":"%APP%","clientAppId":"%CLIENT_APP%","name":"fixture","projectId":"…","deployment":{"model":"LOCAL","providerRegion":"aws-us-east-1"},"lastDeployed":"20…T…Z"}
//- environments/qa.json
{"values":{"baseUrl":"https://qa.example.com","limits":{"n":3}}}
//- functions/environment.js
exports = () => context.environment;
//= environment
//> {"tag":"qa","values":{"baseUrl":"https://qa.example.com","limits":{"n":{"$numberInt":"3"}}}}
//- values/text.json
{"name":"text","value":"plain","from_secret":false}
//- values/list.json
{"name":"list","value":["a",1,2.5,{"b":null}],"from_secret":false}
//- values/hidden.json
{"name":"hidden","value":"theSecret","from_secret":true}
//- secret theSecret s3cret
//- functions/value.js
exports = (name) => context.values.get(name);
//= value ["text"]
//> "plain"
//= value ["list"]
//> ["a",{"$numberInt":"1"},{"$numberDouble":"2.5"},{"b":null}]
//= value ["hidden"]
//> "s3cret"
//= value ["theSecret"]
//> {"$undefined":true}
//= value ["__proto__"]
//> {"$undefined":true}
//- functions/request.js
exports = () => {
  const { remoteIPAddress, requestHeaders, httpMethod, rawQueryString, action } = context.request;
  return [remoteIPAddress, requestHeaders.host, requestHeaders.authorization, httpMethod, rawQueryString, action];
};
//= request
//> ["127.0.0.1",["backstitch.test"],{"$undefined":true},"POST","","request"]
//- functions/services.js
exports = () => [typeof context.services.get("mongodb-atlas").db, context.services.get("nothing"), context.services.get("constructor")];
//= services
//> ["function",{"$undefined":true},{"$undefined":true}]
//- functions/helper.js
const outside = () => context.user.id;
exports = () => outside();
//= helper
//> "%USER%"
