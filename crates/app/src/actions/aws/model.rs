//! The services of AWS as they are described: operations, and the shapes of what
//! goes in and comes out. `models.mjs` makes the file.

use std::io::Read as _;
use std::sync::OnceLock;

use serde_json::Value;

/// The services by the names that they have in Go's SDK.
fn services() -> &'static Value {
    static SERVICES: OnceLock<Value> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let packed: &[u8] = include_bytes!("models.json.gz");
        let mut text = String::new();
        let read = flate2::read::GzDecoder::new(packed).read_to_string(&mut text);
        read.ok()
            .and_then(|_| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    })
}

/// A service.
#[derive(Clone, Copy)]
pub(super) struct Api(&'static Value);

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    Query,
    Ec2,
    RestJson,
    RestXml,
}

/// An operation of a service.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) api: Api,
    of: &'static Value,
}

impl Api {
    pub(super) fn named(name: &str) -> Option<Self> {
        services().get(name).map(Self)
    }

    pub(super) fn text(self, name: &str) -> &'static str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What requests are signed for.
    pub(super) fn signing(self) -> &'static str {
        match self.text("signing") {
            "" => self.text("host"),
            name => name,
        }
    }

    pub(super) fn protocol(self) -> Protocol {
        match self.text("protocol") {
            "query" => Protocol::Query,
            "ec2" => Protocol::Ec2,
            "rest-json" => Protocol::RestJson,
            "rest-xml" => Protocol::RestXml,
            _ => Protocol::Json,
        }
    }

    pub(super) fn operation(self, name: &str) -> Option<Operation> {
        let of = self.0.get("operations")?.get(name)?;
        Some(Operation { api: self, of })
    }
}

impl Operation {
    pub(super) fn method(&self) -> &'static str {
        self.of
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or("POST")
    }

    pub(super) fn uri(&self) -> &'static str {
        self.of.get("uri").and_then(Value::as_str).unwrap_or("/")
    }

    pub(super) fn input(&self) -> Shape {
        self.shape("input")
    }

    pub(super) fn output(&self) -> Shape {
        self.shape("output")
    }

    fn shape(&self, name: &str) -> Shape {
        Shape {
            api: self.api,
            member: self.of.get(name).unwrap_or(&Value::Null),
        }
    }
}

/// A shape where it is used: what is said there comes first.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    api: Api,
    member: &'static Value,
}

/// What a shape is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Text,
    /// Of a service that speaks JSON: as the value itself is.
    Any,
    Blob,
    Timestamp,
    Whole,
    Fraction,
    Flag,
    Structure,
    List,
    Map,
}

impl Shape {
    fn get(&self, name: &str) -> Option<&'static Value> {
        if let Some(own) = self.member.get(name) {
            return Some(own);
        }
        let shape = self.member.get("shape")?.as_str()?;
        self.api.0.get("shapes")?.get(shape)?.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'static str> {
        self.get(name)?.as_str()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    pub(super) fn made(&self) -> Made {
        match self.text("type") {
            Some("blob") => Made::Blob,
            Some("timestamp") => Made::Timestamp,
            Some("integer" | "long" | "bigInteger") => Made::Whole,
            Some("float" | "double" | "bigDecimal") => Made::Fraction,
            Some("boolean") => Made::Flag,
            Some("structure") => Made::Structure,
            Some("list") => Made::List,
            Some("map") => Made::Map,
            _ if self.get("members").is_some() => Made::Structure,
            _ if self.get("member").is_some() => Made::List,
            _ if self.get("value").is_some() || self.get("key").is_some() => Made::Map,
            _ if self.member == &Value::Null => Made::Any,
            _ => Made::Text,
        }
    }

    /// The members of a structure, in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'static str, Shape)> + use<> {
        let api = self.api;
        let members = self.get("members").and_then(Value::as_object);
        members.into_iter().flatten().map(move |(name, member)| {
            let member = Shape { api, member };
            (name.as_str(), member)
        })
    }

    /// The member of a structure with a name, whose first letter may be a
    /// capital one.
    pub(super) fn member(&self, name: &str) -> Option<(&'static str, Shape)> {
        self.members()
            .find(|(known, _)| *known == name || capital(known) == name)
    }

    /// What a list, the keys or the values of a map are made of.
    pub(super) fn inner(&self, name: &str) -> Shape {
        Shape {
            api: self.api,
            member: self.get(name).unwrap_or(&Value::Null),
        }
    }

    /// Nothing is known of it.
    pub(super) fn any(&self) -> Shape {
        Shape {
            api: self.api,
            member: &Value::Null,
        }
    }
}

/// A name as Go's SDK has it.
pub(super) fn capital(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Api, Made, Protocol};

    #[test]
    fn every_service_of_the_documentation_is_there() {
        for name in [
            "athena",
            "batch",
            "cloudwatch",
            "comprehend",
            "ec2",
            "firehose",
            "glacier",
            "iot",
            "kinesis",
            "lambda",
            "lexruntimeservice",
            "machinelearning",
            "mobileanalytics",
            "polly",
            "rds",
            "redshift",
            "rekognition",
            "s3",
            "ses",
            "sfn",
            "sns",
            "sqs",
            "textract",
        ] {
            let api = Api::named(name).unwrap_or_else(|| panic!("{name}"));
            assert!(
                !api.text("host").is_empty() && !api.signing().is_empty(),
                "{name}"
            );
        }
        let s3 = Api::named("s3").unwrap();
        assert_eq!(s3.protocol(), Protocol::RestXml);
        let put = s3.operation("PutObject").unwrap();
        assert_eq!((put.method(), put.uri()), ("PUT", "/{Bucket}/{Key+}"));
        let (_, body) = put.input().member("Body").unwrap();
        assert_eq!(body.made(), Made::Blob);
        assert!(s3.operation("NoSuchOperation").is_none());
        assert!(Api::named("dynamodb").is_none());
    }
}
