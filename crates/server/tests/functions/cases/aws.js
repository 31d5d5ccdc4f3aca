// The service `aws` (functions-runtime.md §5): operations by the names of Go's SDK.
//- services/MyAwsService/config.json
{"name":"MyAwsService","type":"aws","config":{"accessKeyId":"AKID","region":"us-east-1"},"secret_config":{"secretAccessKey":"awsSecret"},"version":1}
//- services/MyAwsService/rules/s3.json
{"name":"s3","actions":["s3:PutObject","s3:GetObject","s3:PresignURL"],"when":{"%%args.Bucket":{"%in":["my-bucket"]}}}
//- services/MyAwsService/rules/kinesis.json
{"name":"kinesis","actions":["kinesis:*"]}
//- secret awsSecret wJalrXUtnFEMI
//- functions/put.js
exports = async (bucket, key, body, type) => {
  const s3 = context.services.get("MyAwsService").s3("us-east-1");
  return s3.PutObject({ Bucket: bucket, Key: key, Body: body, ContentType: type }).catch((error) => [error.code, error.message]);
};
//- functions/get.js
exports = (bucket, key) => context.services.get("MyAwsService").s3("us-east-1").GetObject({ Bucket: bucket, Key: key })
  .then(({ Body, ContentType, ETag }) => [Body.text(), ContentType, ETag])
  .catch((error) => error.message);
//= put ["my-bucket","a/example","hello there","text/plain"]
//> {"ETag":"\"tag\""}
//= get ["my-bucket","a/example"]
//> ["hello there","text/plain","\"tag\""]
//= put ["my-bucket","image",{"$binary":{"base64":"aW1hZ2U=","subType":"00"}},"image/png"]
//> {"ETag":"\"tag\""}
//= get ["my-bucket","image"]
//> ["image","image/png","\"tag\""]
//= get ["my-bucket","none"]
//> "NoSuchKey: The specified key does not exist.\n\tstatus code: 404, request id: R"
//= put ["other","a","b","c"]
//> ["NoMatchingRuleFound","no rule allows the action 's3:PutObject' of the service 'MyAwsService'"]
//= put ["my-bucket","../other/a","b","c"]
//> ["InvalidParameter","a name in the address cannot be '.' or '..'"]
//- functions/presign.js
exports = function () {
  const s3 = context.services.get("MyAwsService").s3("us-east-1");
  const url = s3.PresignURL({ Bucket: "my-bucket", Key: "/some/path", Method: "GET", ExpirationMS: 30000 });
  return url;
};
//= presign
//> "%HTTP%/aws/my-bucket/some/path?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F…%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=…&X-Amz-Expires=30&X-Amz-SignedHeaders=host&X-Amz-Signature=…"
//- functions/record.js
exports = async (event) => context.services.get("MyAwsService").kinesis("eu-west-1").PutRecord({
  Data: JSON.stringify(event), StreamName: event.stream ?? "s", PartitionKey: "1",
}).catch((error) => error.message);
//= record [{"a":"b"}]
//> {"ShardId":"Kinesis_20131202.PutRecord eu-west-1","SequenceNumber":"eyJhIjoiYiJ9"}
//= record [{"stream":"none"}]
//> "ResourceNotFoundException: no stream\n\tstatus code: 400, request id: "
//- functions/invoke.js {"run_as_system":true}
exports = async () => {
  const result = await context.services.get("MyAwsService").lambda("us-east-1").Invoke({ FunctionName: "fn", Payload: JSON.stringify({ id: 1 }) });
  return [result.StatusCode, EJSON.parse(result.Payload.text())];
};
//= invoke
//> [{"$numberInt":"200"},{"name":"fn","got":"{\"id\":1}"}]
//- functions/mail.js {"run_as_system":true}
exports = async () => context.services.get("MyAwsService").ses("us-east-1").SendEmail({
  Source: "sender@example.com", Destination: { ToAddresses: ["docs@example.com"] },
  Message: { Body: { Html: { Charset: "UTF-8", Data: "<b>hi</b>" } }, Subject: { Charset: "UTF-8", Data: "Test" } },
});
//= mail
//> {"MessageId":"SendEmail docs@example.com"}
//- functions/start.js {"run_as_system":true}
exports = async () => context.services.get("MyAwsService").sfn().StartExecution({ StateMachineArn: "arn", Input: "{}" });
//= start
//> {"ExecutionArn":"{\"stateMachineArn\":\"arn\",\"input\":\"{}\"}","StartDate":{"$date":{"$numberLong":"1600000000000"}}}
//- functions/wrong.js {"run_as_system":true}
exports = async (service, operation, region) => context.services.get("MyAwsService")[service](region)[operation]({}).catch((error) => error.message);
//= wrong ["s3","NoSuchOperation","us-east-1"]
//> "unknown AWS action 's3:NoSuchOperation'"
//= wrong ["dynamodb","GetItem","us-east-1"]
//> "unknown AWS action 'dynamodb:GetItem'"
//= wrong ["s3","ListBuckets","evil.example/#"]
//> "'evil.example/#' is no region of AWS"
//= wrong ["lambda","Invoke","us-east-1"]
//> "Invoke needs what its address has: /2015-03-31/functions/{FunctionName}/invocations"
