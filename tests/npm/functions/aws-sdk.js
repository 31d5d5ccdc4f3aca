exports = async ({ base }) => {
  const AWS = require("aws-sdk");
  const s3 = new AWS.S3({ endpoint: base, accessKeyId: "AK", secretAccessKey: "SK", region: "us-east-1", s3ForcePathStyle: true, signatureVersion: "v4", maxRetries: 0 });
  const put = await s3.putObject({ Bucket: "b", Key: "k ü.txt", Body: "content", ContentType: "text/plain" }).promise();
  const got = await s3.getObject({ Bucket: "b", Key: "key" }).promise();
  const signed = s3.getSignedUrl("getObject", { Bucket: "b", Key: "k", Expires: 60 });
  const dynamo = new AWS.DynamoDB.DocumentClient({ endpoint: base, accessKeyId: "AK", secretAccessKey: "SK", region: "us-east-1", maxRetries: 0 });
  const item = await dynamo.get({ TableName: "t", Key: { id: 1 } }).promise();
  return [put.ETag, got.Body.toString(), got.ContentType, /X-Amz-Signature=[0-9a-f]{64}/.test(signed), item.Item, await s3.headObject({ Bucket: "b", Key: "missing" }).promise().catch((e) => [e.code, e.statusCode])];
};
