// `context.http` and the service `http` (functions-runtime.md §5).
//- functions/send.js
exports = async (verb, sent) => {
  const answer = await context.http[verb](sent);
  return JSON.parse(answer.body.text());
};
//= send ["get",{"url":"%HTTP%/echo?a=1#part"}]
//> {"method":"GET","target":"/echo?a=1","headers":{},"body":""}
//= send ["get",{"host":"%HOST%","path":"/echo","query":{"id":["8675309"],"color":["red","blue"]},"fragment":"someFragment"}]
//> {"method":"GET","target":"/echo?id=8675309&color=red&color=blue","headers":{},"body":""}
//= send ["get",{"scheme":"http","domain":"%HOST%","path":"echo"}]
//> {"method":"GET","target":"/echo","headers":{},"body":""}
//= send ["get",{"url":"%HTTP%/echo","headers":{"X-One":["1"],"X-Text":"t"},"cookies":{"favoriteTeam":"Chicago Cubs","b":"2"}}]
//> {"method":"GET","target":"/echo","headers":{"x-one":"1","x-text":"t","cookie":"favoriteTeam=Chicago Cubs; b=2"},"body":""}
//= send ["post",{"url":"%HTTP%/echo","body":"plain"}]
//> {"method":"POST","target":"/echo","headers":{},"body":"plain"}
//= send ["post",{"url":"%HTTP%/echo","body":{"msg":"hi","n":1.5},"encodeBodyAsJSON":true}]
//> {"method":"POST","target":"/echo","headers":{"content-type":"application/json"},"body":"{\"msg\":\"hi\",\"n\":{\"$numberDouble\":\"1.5\"}}"}
//= send ["put",{"url":"%HTTP%/echo","body":"{}","headers":{"Content-Type":["application/json"]}}]
//> {"method":"PUT","target":"/echo","headers":{"content-type":"application/json"},"body":"{}"}
//= send ["patch",{"url":"%HTTP%/echo","body":{"$binary":{"base64":"aGk=","subType":"00"}}}]
//> {"method":"PATCH","target":"/echo","headers":{},"body":"hi"}
//= send ["delete",{"url":"%HTTP%/echo"}]
//> {"method":"DELETE","target":"/echo","headers":{},"body":""}
//= send ["post",{"url":"%HTTP%/echo","form":{"to":"a@b","n":5},"headers":{"Content-Type":["multipart/form-data"]}}]
//> {"method":"POST","target":"/echo","headers":{"content-type":"multipart/form-data; boundary=…"},"body":"--…\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\na@b\r\n--…\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n5\r\n--…--\r\n"}
//= send ["get",{"url":"%HTTP%/echo","username":"MyUser","password":"Mypassw0rd"}]
//> {"method":"GET","target":"/echo","headers":{"authorization":"Basic TXlVc2VyOk15cGFzc3cwcmQ="},"body":""}
//= send ["get",{"url":"http://MyUser:Mypassw0rd@%HOST%/echo"}]
//> {"method":"GET","target":"/echo","headers":{"authorization":"Basic TXlVc2VyOk15cGFzc3cwcmQ="},"body":""}
//= send ["get",{"url":"%HTTP%/echo","headers":{"Authorization":["Basic own"]},"username":"u"}]
//> {"method":"GET","target":"/echo","headers":{"authorization":"Basic own"},"body":""}
//= send ["get",{"url":"%HTTP%/echo","authUrl":"%HTTP%/login"}]
//> {"method":"GET","target":"/echo","headers":{"cookie":"session=abc"},"body":""}
//= send ["get",{"url":"%HTTP%/digest","username":"u","password":"p","digestAuth":true}]
//> {"user":"u","opaque":"o"}
//= send ["get",{"url":"http://u:p@%HOST%/digest","digestAuth":true}]
//> {"user":"u","opaque":"o"}
//= send ["get",{"url":"%HTTP%/moved","followRedirects":true}]
//> {"method":"GET","target":"/echo?moved=1","headers":{},"body":""}
//- functions/whole.js
exports = async (verb, sent) => {
  const answer = await context.http[verb](sent);
  return { ...answer, body: answer.body.text(), kind: answer.body instanceof BSON.Binary, headers: Object.keys(answer.headers) };
};
//= whole ["get",{"url":"%HTTP%/missing"}]
//> {"status":"404 Not Found","statusCode":{"$numberInt":"404"},"contentLength":{"$numberInt":"12"},"headers":["Connection","Content-Length"],"cookies":{},"body":"nothing here","kind":true}
//= whole ["get",{"url":"%HTTP%/moved"}]
//> {"status":"302 Found","statusCode":{"$numberInt":"302"},"contentLength":{"$numberInt":"5"},"headers":["Connection","Content-Length","Location"],"cookies":{},"body":"moved","kind":true}
//= whole ["head",{"url":"%HTTP%/missing"}]
//> {"status":"404 Not Found","statusCode":{"$numberInt":"404"},"contentLength":{"$numberInt":"12"},"headers":["Connection","Content-Length"],"cookies":{},"body":"","kind":true}
//= whole ["get",{"url":"%HTTP%/digest","username":"u","password":"wrong","digestAuth":true}]
//> {"status":"401 Unauthorized",…}
//- functions/parts.js
exports = async () => {
  const answer = await context.http.get({ url: "%HTTP%/echo" });
  return [answer.headers["X-Many"], answer.headers["Content-Type"], answer.cookies];
};
//= parts
//> [["1","2"],["application/json"],{"team":{"value":"Cubs","path":"/","maxAge":"60","httpOnly":true},"plain":{"value":"quoted","secure":true}}]
//- functions/bytes.js
exports = async () => (await context.http.get({ url: "%HTTP%/bytes" })).body;
//= bytes
//> {"$binary":{"base64":"AP8B","subType":"00"}}
//- functions/fails.js
exports = (sent) => context.http.get(sent).catch((error) => [error instanceof Error, error.code, error.message]);
//= fails [{"url":"http://10.0.0.1/"}]
//> [true,"RestrictedHost","'10.0.0.1' is at an address that this server does not connect to; the server's operator can allow it"]
//= fails [{"url":"http://169.254.169.254/latest/meta-data/"}]
//> [true,"RestrictedHost",…]
//= fails [{"url":"ftp://%HOST%/"}]
//> [true,"HTTPError","the URL cannot be used: its scheme is neither http nor https"]
//= fails [{"url":"nothing"}]
//> [true,"InvalidParameter","the URL cannot be used: relative URL without a base"]
//= fails [{}]
//> [true,"InvalidParameter","'url' or 'host' is required"]
//= fails []
//> [true,"InvalidParameter","'url' or 'host' is required"]
//= fails [{"url":"%HTTP%/echo","headers":{"A\r\nB":["1"]}}]
//> [true,"InvalidParameter",…]
//= fails [{"url":"%HTTP%/echo","headers":{"A":["1\r\nB: 2"]}}]
//> [true,"InvalidParameter","a header has a character that it cannot have"]
//= fails [{"url":"%HTTP%/echo","digestAuth":true}]
//> [true,"InvalidParameter","'digestAuth' needs 'username' and 'password'"]
//= fails [{"url":"%HTTP%/large"}]
//> [true,"HTTPError","the answer has more than 16777216 bytes"]
//= fails [{"url":"http://127.0.0.1:1/"}]
//> [true,"HTTPError","no connection: …"]
//- services/web/config.json
{"name":"web","type":"http","config":{},"version":1}
//- services/web/rules/some.json
{"name":"some","actions":["get"],"when":{"%%args.url.path":"/echo"}}
//- functions/service.js
exports = async (verb, sent) => {
  const http = context.services.get("web");
  return (await http[verb](sent).then((answer) => answer.statusCode, (error) => error.code));
};
//= service ["get",{"url":"%HTTP%/echo"}]
//> {"$numberInt":"200"}
//= service ["get",{"url":"%HTTP%/missing"}]
//> "NoMatchingRuleFound"
//= service ["get",{"url":"%HTTP%/echo","authUrl":"%HTTP%/login"}]
//> "NoMatchingRuleFound"
//= service ["post",{"url":"%HTTP%/echo"}]
//> "NoMatchingRuleFound"
//- functions/serviceAsSystem.js {"run_as_system":true}
exports = async (verb, sent) => (await context.services.get("web")[verb](sent)).statusCode;
//= serviceAsSystem ["post",{"url":"%HTTP%/echo"}]
//> {"$numberInt":"200"}
//= serviceAsSystem ["options",{"url":"%HTTP%/echo"}]
//! FunctionExecutionError: Error: unknown HTTP action 'options'
//- functions/undrained.js
exports = () => { context.http.post({ url: "%HTTP%/echo", body: "left" }).then((answer) => console.log(answer.status)); };
//= undrained
//> {"$undefined":true}
//~ 200 OK
//- functions/many.js
exports = async () => (await Promise.all([1, 2, 3, 4, 5].map((n) => context.http.get({ url: `%HTTP%/echo?n=${n}` })))).map((answer) => JSON.parse(answer.body.text()).target);
//= many
//> ["/echo?n=1","/echo?n=2","/echo?n=3","/echo?n=4","/echo?n=5"]
