// What the page about global modules shows of `utils`, and the page about functions of modules.
//- values/aesEncryptionKey.json
{"name":"aesEncryptionKey","value":"603082712271C525E087BD999A4E0738","from_secret":false}
//- functions/encrypt.js
exports = function (message) {
  const key = context.values.get("aesEncryptionKey");
  const encrypted = utils.crypto.encrypt("aes", message, key);
  return [encrypted instanceof BSON.Binary, utils.crypto.decrypt("aes", encrypted, key).text()];
};
//= encrypt ["MongoDB is great!"]
//> [true,"MongoDB is great!"]
//- functions/decrypt.js
exports = function (encrypted) {
  const key = context.values.get("aesEncryptionKey");
  return utils.crypto.decrypt("aes", BSON.Binary.fromBase64(encrypted), key).text();
};
//= decrypt ["WPBuIvJ6Bity43Uh822dW8QlVYVJaFUiDeUjlTiJXzptUuTYIKPlXekBQAJb"]
//> "MongoDB is great!"
//- functions/encode.js
exports = function () {
  const payload = { sub: "1234567890", name: "Joe Example", iat: 1565721223187 };
  const token = utils.jwt.encode("HS512", payload, "SuperSecret");
  return [token.split(".").length, utils.jwt.decode(token, "SuperSecret", false, ["HS512"]).name];
};
//= encode
//> [{"$numberInt":"3"},"Joe Example"]
//- functions/decode.js
exports = (token, withHeader) => utils.jwt.decode(token, "SuperSecret", withHeader, ["HS512"]);
//= decode ["eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA",false]
//> {"sub":"1234567890","name":"Joe Schmoe","iat":{"$numberDouble":"1565721223187.0"}}
//= decode ["eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA",true]
//> {"header":{"alg":"HS512","typ":"JWT"},"payload":{"sub":"1234567890","name":"Joe Schmoe","iat":{"$numberDouble":"1565721223187.0"}}}
//= decode ["eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.AAAA",false]
//! FunctionExecutionError: …
//- functions/asserts.js
exports = async function hello(...args) {
  const assert = require("assert");
  assert(typeof args[0] === "string");
  const sayHello = (name = "world") => { console.log(`Hello, ${name}.`); };
  return sayHello(args[0]);
};
//= asserts ["you"]
//> {"$undefined":true}
//~ Hello, you.
//= asserts [5]
//! FunctionExecutionError: AssertionError: …
//- functions/weather.js
const uppercase = (text) => text.toUpperCase();
exports = async function GetWeather(city) {
  const { URL } = require("url");
  const url = new URL("%HTTP%");
  url.pathname = "/echo";
  url.search = `?location="${city}"`;
  const response = await context.http.get({ url: url.toString(), headers: { Accept: ["application/json"] } });
  return [uppercase(city), JSON.parse(response.body.text()).target].join(": ");
};
//= weather ["Rome"]
//> "ROME: /echo?location=%22Rome%22"
