//! Requests as Amazon's own SDK writes them (`requests.json`), and answers of
//! every protocol.

use bson::{Bson, Document, RawBson, RawDocumentBuf};
use egress::{HeaderMap, HeaderName, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::model::{Api, Operation, capital};
use super::{Account, read, write};

fn operation(service: &str, name: &str) -> Operation {
    Api::named(service)
        .and_then(|api| api.operation(name))
        .unwrap_or_else(|| panic!("{service}:{name}"))
}

fn raw(value: &Value) -> RawDocumentBuf {
    let document = kit::ejson::parse_document(value.to_string().as_bytes()).unwrap();
    RawDocumentBuf::try_from(&document).unwrap()
}

/// Pairs of a form or a query string, sorted.
fn pairs(text: &str) -> Vec<String> {
    let mut pairs: Vec<String> = text
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.trim_end_matches('=').to_owned())
        .collect();
    pairs.sort();
    pairs
}

fn check(case: &Value, input: &Value) {
    let text = |name: &str| case[name].as_str().unwrap();
    let name = format!("{}:{}", text("service"), text("operation"));
    let operation = operation(text("service"), text("operation"));
    let draft = write::request(&operation, text("operation"), &raw(input))
        .unwrap_or_else(|problem| panic!("{name}: {problem}"));
    assert_eq!(operation.method(), text("method"), "{name}");
    let (path, query) = text("target")
        .split_once('?')
        .unwrap_or((text("target"), ""));
    assert_eq!(draft.path, path, "{name}");
    let own = super::canonical_query(&draft.query);
    assert_eq!(pairs(&own), pairs(query), "{name}");
    for (header, value) in case["headers"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let chosen = value.contains("octet-stream");
        let sum = header == "content-md5" && !text("body").starts_with('<');
        if header == "host" || header == "content-type" && chosen || sum {
            continue;
        }
        let own = draft.headers.get(header).and_then(|own| own.to_str().ok());
        assert_eq!(own, Some(value), "{name}: {header}");
    }
    let body = String::from_utf8(draft.body).unwrap();
    match serde_json::from_str::<Value>(text("body")) {
        Ok(wanted @ Value::Object(_)) => {
            let own: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(own, wanted, "{name}");
        }
        _ if text("body").starts_with("Action=") || text("body").contains("&Action=") => {
            assert_eq!(pairs(&body), pairs(text("body")), "{name}");
        }
        _ => assert_eq!(body, text("body"), "{name}"),
    }
}

#[test]
fn requests_are_those_of_amazons_own_sdk() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("requests.json")).unwrap();
    assert!(cases.len() > 40);
    for case in &cases {
        check(case, &case["input"]);
        // In Go names begin with a capital letter.
        let input = case["input"].as_object().unwrap();
        let capitals: Map<String, Value> = input
            .iter()
            .map(|(name, value)| (capital(name), value.clone()))
            .collect();
        check(case, &Value::Object(capitals));
    }
}

#[test]
fn what_the_oldest_sdks_send() {
    let sent = json!({
        "aws_service": "s3", "aws_action": "PutObject", "aws_region": "eu-west-1",
        "aws_arguments": { "Bucket": "b" },
    });
    let (action, input) = super::of_old_sdks(&raw(&sent)).unwrap();
    assert_eq!(action, "s3:PutObject");
    assert_eq!(
        input,
        bson::rawdoc! { "Bucket": "b", "region": "eu-west-1" }
    );
    assert!(super::of_old_sdks(&raw(&json!({ "aws_service": "s3" }))).is_none());
}

#[test]
fn tokens_are_made_as_by_sdks() {
    let operation = operation("athena", "StartQueryExecution");
    let body = || {
        let input = raw(&json!({ "QueryString": "select 1" }));
        let draft = write::request(&operation, "StartQueryExecution", &input).unwrap();
        serde_json::from_slice::<Value>(&draft.body).unwrap()
    };
    let (one, two) = (body(), body());
    assert_eq!(one["ClientRequestToken"].as_str().map(str::len), Some(36));
    assert_ne!(one["ClientRequestToken"], two["ClientRequestToken"]);
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, value.parse().unwrap())
    });
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.collect::<HeaderMap>(),
        body: body.as_bytes().to_vec().into(),
    }
}

fn shown(value: RawBson) -> Value {
    let document: Document = match value {
        RawBson::Document(document) => document.try_into().unwrap(),
        other => panic!("{other:?}"),
    };
    Bson::Document(document).into_relaxed_extjson()
}

#[test]
fn answers() {
    let read = |service: &str, name: &str, headers: &[(&str, &str)], body: &str| {
        let operation = operation(service, name);
        shown(read::answer(&operation, &response(200, headers, body)).unwrap())
    };
    assert_eq!(
        read(
            "s3",
            "ListObjectsV2",
            &[],
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"u\"><Name>b</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>\
             <Contents><Key>a&amp;b</Key><Size>5</Size><LastModified>2020-09-13T12:26:40.000Z</LastModified></Contents>\
             <Contents><Key>c</Key><Size>3000000000</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>",
        ),
        json!({
            "IsTruncated": false,
            "Contents": [
                { "Key": "a&b", "LastModified": { "$date": "2020-09-13T12:26:40Z" }, "Size": 5 },
                { "Key": "c", "Size": 3_000_000_000_i64 },
            ],
            "Name": "b", "CommonPrefixes": [{ "Prefix": "p/" }], "KeyCount": 2,
        })
    );
    assert_eq!(
        read(
            "s3",
            "GetObject",
            &[
                ("ETag", "\"e\""),
                ("Content-Length", "2"),
                ("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT"),
                ("x-amz-meta-one-two", "1"),
                ("Content-Type", "text/plain"),
            ],
            "hi",
        ),
        json!({
            "LastModified": { "$date": "2020-09-13T12:26:40Z" }, "ContentLength": 2, "ETag": "\"e\"",
            "ContentType": "text/plain", "Metadata": { "One-Two": "1" },
            "Body": { "$binary": { "base64": "aGk=", "subType": "00" } },
        })
    );
    assert_eq!(
        read(
            "s3",
            "GetBucketLocation",
            &[],
            "<LocationConstraint xmlns=\"u\">eu-west-1</LocationConstraint>"
        ),
        json!({ "LocationConstraint": "eu-west-1" })
    );
    assert_eq!(
        read("s3", "PutObject", &[("ETag", "\"e\"")], ""),
        json!({ "ETag": "\"e\"" })
    );
    assert_eq!(
        read(
            "ses",
            "SendEmail",
            &[],
            "<SendEmailResponse><SendEmailResult><MessageId>m</MessageId></SendEmailResult></SendEmailResponse>",
        ),
        json!({ "MessageId": "m" })
    );
    assert_eq!(
        read(
            "sns",
            "GetTopicAttributes",
            &[],
            "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes><entry><key>Owner</key><value>1</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>",
        ),
        json!({ "Attributes": { "Owner": "1" } })
    );
    assert_eq!(
        read(
            "ec2",
            "DescribeInstances",
            &[],
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><amiLaunchIndex>0</amiLaunchIndex><ebsOptimized>true</ebsOptimized></item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
        ),
        json!({ "Reservations": [{ "Instances": [{ "AmiLaunchIndex": 0, "InstanceId": "i-1", "EbsOptimized": true }] }] })
    );
    assert_eq!(
        read(
            "kinesis",
            "GetRecords",
            &[],
            r#"{"Records":[{"Data":"aGk=","SequenceNumber":"1","ApproximateArrivalTimestamp":1600000000.5}],"MillisBehindLatest":0}"#,
        ),
        json!({
            "Records": [{
                "Data": { "$binary": { "base64": "aGk=", "subType": "00" } }, "SequenceNumber": "1",
                "ApproximateArrivalTimestamp": { "$date": "2020-09-13T12:26:40.5Z" },
            }],
            "MillisBehindLatest": 0,
        })
    );
    assert_eq!(
        read(
            "lambda",
            "Invoke",
            &[("X-Amz-Function-Error", "Unhandled")],
            r#"{"a":1}"#
        ),
        json!({
            "StatusCode": 200, "FunctionError": "Unhandled",
            "Payload": { "$binary": { "base64": "eyJhIjoxfQ==", "subType": "00" } },
        })
    );
    assert_eq!(
        read(
            "sfn",
            "StartExecution",
            &[],
            r#"{"executionArn":"arn","startDate":1600000000}"#
        ),
        json!({ "ExecutionArn": "arn", "StartDate": { "$date": "2020-09-13T12:26:40Z" } })
    );
    assert_eq!(
        read(
            "iot",
            "DescribeThing",
            &[],
            r#"{"thingName":"t","attributes":{"color":"red"},"version":3}"#
        ),
        json!({ "ThingName": "t", "Attributes": { "color": "red" }, "Version": 3 })
    );
    assert_eq!(read("sqs", "DeleteMessage", &[], ""), json!({}));
}

#[test]
fn errors_are_worded_as_in_go() {
    let said = |service: &str, name: &str, status: u16, headers: &[(&str, &str)], body: &str| {
        read::problem(&operation(service, name), &response(status, headers, body)).message
    };
    assert_eq!(
        said(
            "s3",
            "GetObject",
            404,
            &[],
            "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><RequestId>R</RequestId></Error>",
        ),
        "NoSuchKey: The specified key does not exist.\n\tstatus code: 404, request id: R"
    );
    assert_eq!(
        said("s3", "HeadObject", 404, &[("x-amz-request-id", "R")], ""),
        "NotFound: Not Found\n\tstatus code: 404, request id: R"
    );
    assert_eq!(
        said(
            "ses",
            "SendEmail",
            400,
            &[],
            "<ErrorResponse><Error><Type>Sender</Type><Code>MessageRejected</Code><Message>no</Message></Error><RequestId>R</RequestId></ErrorResponse>",
        ),
        "MessageRejected: no\n\tstatus code: 400, request id: R"
    );
    assert_eq!(
        said(
            "ec2",
            "RunInstances",
            400,
            &[],
            "<Response><Errors><Error><Code>InvalidAMIID</Code><Message>no</Message></Error></Errors><RequestID>R</RequestID></Response>",
        ),
        "InvalidAMIID: no\n\tstatus code: 400, request id: R"
    );
    assert_eq!(
        said(
            "kinesis",
            "PutRecord",
            400,
            &[("x-amzn-requestid", "R")],
            r#"{"__type":"com.amazonaws.kinesis#ResourceNotFoundException","message":"no"}"#,
        ),
        "ResourceNotFoundException: no\n\tstatus code: 400, request id: R"
    );
    assert_eq!(
        said(
            "lambda",
            "Invoke",
            404,
            &[("x-amzn-errortype", "ResourceNotFoundException:http://x/")],
            r#"{"Message":"Function not found"}"#,
        ),
        "ResourceNotFoundException: Function not found\n\tstatus code: 404, request id: "
    );
}

fn account(elsewhere: Option<&str>) -> Account {
    Account {
        key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        region: "us-east-1".to_owned(),
        elsewhere: elsewhere.map(str::to_owned),
    }
}

#[test]
fn where_requests_go() {
    let url = |account: &Account, service: &str, name: &str, input: Value| {
        let operation = operation(service, name);
        match account.request(&operation, name, &raw(&input), 0) {
            Ok(request) => request.url,
            Err(problem) => problem.message,
        }
    };
    let amazon = account(None);
    for (service, name, input, wanted) in [
        (
            "s3",
            "GetObject",
            json!({ "Bucket": "my-bucket", "Key": "/a//b c" }),
            "https://my-bucket.s3.us-east-1.amazonaws.com/a/b%20c",
        ),
        (
            "s3",
            "GetObject",
            json!({ "Bucket": "my.bucket", "Key": "k" }),
            "https://s3.us-east-1.amazonaws.com/my.bucket/k",
        ),
        (
            "s3",
            "ListBuckets",
            json!({}),
            "https://s3.us-east-1.amazonaws.com/",
        ),
        (
            "s3",
            "DeleteObjects",
            json!({ "Bucket": "my-bucket", "Delete": { "Objects": [] } }),
            "https://my-bucket.s3.us-east-1.amazonaws.com/?delete=",
        ),
        (
            "ses",
            "SendEmail",
            json!({}),
            "https://email.us-east-1.amazonaws.com/",
        ),
        (
            "lexruntimeservice",
            "PostText",
            json!({ "BotName": "b", "BotAlias": "a", "UserId": "u", "InputText": "t" }),
            "https://runtime.lex.us-east-1.amazonaws.com/bot/b/alias/a/user/u/text",
        ),
        // None of what a name holds becomes another address.
        (
            "s3",
            "GetObject",
            json!({ "Bucket": "evil.example/", "Key": "k" }),
            "https://s3.us-east-1.amazonaws.com/evil.example%2F/k",
        ),
        (
            "s3",
            "GetObject",
            json!({ "Bucket": "my-bucket", "Key": "../other/k" }),
            "a name in the address cannot be '.' or '..'",
        ),
        (
            "lambda",
            "Invoke",
            json!({ "FunctionName": ".." }),
            "a name in the address cannot be '.' or '..'",
        ),
        (
            "lambda",
            "Invoke",
            json!({}),
            "Invoke needs what its address has: /2015-03-31/functions/{FunctionName}/invocations",
        ),
    ] {
        assert_eq!(url(&amazon, service, name, input), wanted);
    }
    let local = account(Some("http://127.0.0.1:4566/aws/"));
    assert_eq!(
        url(
            &local,
            "s3",
            "GetObject",
            json!({ "Bucket": "my-bucket", "Key": "k" })
        ),
        "http://127.0.0.1:4566/aws/my-bucket/k"
    );
    assert_eq!(
        url(&local, "sqs", "ListQueues", json!({})),
        "http://127.0.0.1:4566/aws/"
    );
    let china = Account {
        region: "cn-north-1".to_owned(),
        ..account(None)
    };
    assert_eq!(
        url(&china, "sns", "ListTopics", json!({})),
        "https://sns.cn-north-1.amazonaws.com.cn/"
    );
}

#[test]
fn urls_that_are_good_for_a_while() {
    let url = |input: Value| match account(None).presigned(&raw(&input), 1_369_353_600_000) {
        Ok(url) => url,
        Err(problem) => problem.message,
    };
    let signed = url(
        json!({ "Bucket": "my-bucket", "Key": "/some/path", "Method": "PUT", "ExpirationMS": 30000 }),
    );
    assert!(
        signed.starts_with("https://my-bucket.s3.us-east-1.amazonaws.com/some/path?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
            && signed.contains("&X-Amz-Expires=30&"),
        "{signed}"
    );
    for (input, wanted) in [
        (
            json!({ "Key": "k", "ExpirationMS": 1000 }),
            "missing argument 'Bucket'",
        ),
        (
            json!({ "Bucket": "b", "Key": "k" }),
            "missing argument 'ExpirationMS'",
        ),
        (
            json!({ "Bucket": "b", "Key": "k", "ExpirationMS": 999 }),
            "'ExpirationMS' is from a second to seven days",
        ),
        (
            json!({ "Bucket": "b", "Key": "a/../k", "ExpirationMS": 1000 }),
            "a part of 'Key' cannot be '.' or '..'",
        ),
        (
            json!({ "Bucket": "b", "Key": "k", "Method": "POST", "ExpirationMS": 1000 }),
            "'Method' is GET, PUT, HEAD or DELETE",
        ),
    ] {
        assert_eq!(url(input), wanted);
    }
}
