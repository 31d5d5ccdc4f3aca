// The service `twilio` (functions-runtime.md §5).
//- services/tw/config.json
{"name":"tw","type":"twilio","config":{"sid":"AC1"},"secret_config":{"auth_token":"twilioToken"},"version":1}
//- services/tw/rules/known.json
{"name":"known","actions":["send"],"when":{"%%args.from":"+15551234567"}}
//- services/bad/config.json
{"name":"bad","type":"twilio","config":{"sid":"AC1"},"secret_config":{"auth_token":"wrongToken"},"version":1}
//- services/hook/config.json
{"name":"hook","type":"github","config":{},"version":1}
//- secret twilioToken t0ken
//- secret wrongToken wrong
//- functions/send.js
exports = (to, from, body) => context.services.get("tw").send({ to, from, body }).then((result) => ["sent", result], (error) => error.message);
//= send ["+15558675309","+15551234567","Hello & welcome"]
//> ["sent",{"$undefined":true}]
//= send ["+15005550001","+15551234567","Hello"]
//> "Twilio answers 400: The 'To' number +15005550001 is not a valid phone number."
//= send ["+15558675309","+1","Hello"]
//> "no rule allows the action 'send' of the service 'tw'"
//= send ["+15558675309","+15551234567"]
//> "missing argument 'body'"
//- functions/bad.js {"run_as_system":true}
exports = () => context.services.get("bad").send({ to: "a", from: "b", body: "c" });
//= bad
//! FunctionExecutionError: Error: Twilio answers 401: Authenticate
//- functions/other.js {"run_as_system":true}
exports = () => context.services.get("tw").call({});
//= other
//! FunctionExecutionError: Error: unknown Twilio action 'call'
//- functions/github.js {"run_as_system":true}
exports = () => context.services.get("hook").send({});
//= github
//! FunctionExecutionError: Error: the service type 'github' has no action 'send' on this server
