exports = async ({ base }) => {
  const { S3Client, PutObjectCommand, GetObjectCommand, ListObjectsV2Command } = require("@aws-sdk/client-s3");
  const s3 = new S3Client({ endpoint: base, region: "us-east-1", credentials: { accessKeyId: "AK", secretAccessKey: "SK" }, forcePathStyle: true, maxAttempts: 1 });
  const put = await s3.send(new PutObjectCommand({ Bucket: "b", Key: "k", Body: "content" }));
  const got = await s3.send(new GetObjectCommand({ Bucket: "b", Key: "key" }));
  const list = await s3.send(new ListObjectsV2Command({ Bucket: "b" }));
  return [put.ETag, await got.Body.transformToString(), got.ContentType, list.Contents.map((o) => [o.Key, o.Size]), await s3.send(new GetObjectCommand({ Bucket: "b", Key: "missing" })).catch((e) => [e.name, e.$metadata.httpStatusCode])];
};
