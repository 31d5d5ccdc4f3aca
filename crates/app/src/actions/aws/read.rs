//! What AWS answers, as Go's SDK would have it: fields by the names there, and
//! none that are not told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::CString;
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBson, RawDocumentBuf};
use egress::Response;
use kit::{Kind, Problem};
use serde_json::Value;

use super::model::{Made, Operation, Protocol, Shape, capital};
use super::xml::{self, Element};

/// Levels of what is answered.
const DEPTH_MAX: usize = 60;

/// The result of an operation.
///
/// # Errors
/// When it is none of the service's protocol.
pub(super) fn answer(operation: &Operation, response: &Response) -> Result<RawBson, Problem> {
    let shape = operation.output();
    let body = &response.body;
    let mut out = Fields::default();
    match operation.api.protocol() {
        Protocol::Json => {
            if !body.is_empty() {
                out.objects(&shape, &json(body)?, 0);
            }
        }
        Protocol::Query | Protocol::Ec2 => {
            let root = element(body)?;
            let result = match shape.text("resultWrapper") {
                Some(wrapper) => root.child(wrapper),
                None => Some(&root),
            };
            if let Some(result) = result {
                out.elements(&shape, result, 0);
            }
        }
        protocol => {
            from_head(&mut out, &shape, response);
            match shape.text("payload").and_then(|name| shape.member(name)) {
                Some((name, of)) => match of.made() {
                    Made::Structure if protocol == Protocol::RestXml => {
                        if !body.is_empty() {
                            out.put(name, of_element(&of, &element(body)?, 0));
                        }
                    }
                    Made::Structure | Made::List | Made::Map => {
                        if !body.is_empty() {
                            out.put(name, of_json(&of, &json(body)?, 0));
                        }
                    }
                    Made::Blob => out.put(name, binary(body.to_vec())),
                    _ => {
                        let text = String::from_utf8_lossy(body).into_owned();
                        out.put(name, RawBson::String(text));
                    }
                },
                None if body.is_empty() => {}
                None if protocol == Protocol::RestXml => {
                    let root = element(body)?;
                    // The one answer whose root is the value itself.
                    if root.name == "LocationConstraint" {
                        out.put("LocationConstraint", RawBson::String(root.text));
                    } else {
                        out.elements(&shape, &root, 0);
                    }
                }
                None => {
                    // Some have no members and answer with something all the same.
                    if let Ok(value) = json(body) {
                        out.objects(&shape, &value, 0);
                    }
                }
            }
        }
    }
    Ok(RawBson::Document(out.0))
}

/// What AWS says is wrong, as Go's SDK words it.
pub(super) fn problem(operation: &Operation, response: &Response) -> Problem {
    let text = String::from_utf8_lossy(&response.body);
    let header = |name: &str| {
        let value = response.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (mut code, mut message, mut request) = (None, None, None);
    match operation.api.protocol() {
        Protocol::Json | Protocol::RestJson => {
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            let field = |names: &[&str]| {
                let found = names.iter().find_map(|name| said.get(*name)?.as_str());
                found.map(str::to_owned)
            };
            code = header("x-amzn-errortype").or_else(|| field(&["__type", "code", "Code"]));
            // `aws.service#Name:http://…`.
            code = code.map(|code| {
                let code = code.split(':').next().unwrap_or_default();
                code.rsplit('#').next().unwrap_or_default().to_owned()
            });
            message = field(&["message", "Message"]);
        }
        _ => {
            if let Some(root) = xml::parse(&text) {
                let error = root.find("Error").unwrap_or(&root);
                let field = |of: &Element, name: &str| of.child(name).map(|e| e.text.clone());
                code = field(error, "Code");
                message = field(error, "Message");
                request = root
                    .find("RequestId")
                    .or_else(|| root.find("RequestID"))
                    .map(|element| element.text.clone());
            }
        }
    }
    let status = response.status;
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let code = code.unwrap_or_else(|| reason.replace(' ', ""));
    let message = message.unwrap_or_else(|| reason.to_owned());
    let request = request
        .or_else(|| header("x-amzn-requestid"))
        .or_else(|| header("x-amz-request-id"))
        .unwrap_or_default();
    let said = format!(
        "{code}: {message}\n\tstatus code: {}, request id: {request}",
        status.as_u16()
    );
    let said: String = said.chars().take(2000).collect();
    Problem::new(Kind::Invalid, "AWSError", said)
}

fn json(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|_| strange())
}

fn element(body: &[u8]) -> Result<Element, Problem> {
    std::str::from_utf8(body)
        .ok()
        .and_then(xml::parse)
        .ok_or_else(strange)
}

fn strange() -> Problem {
    Problem::new(Kind::Invalid, "AWSError", "AWS answers what cannot be read")
}

fn binary(bytes: Vec<u8>) -> RawBson {
    RawBson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

fn whole(n: i64) -> RawBson {
    i32::try_from(n).map_or(RawBson::Int64(n), RawBson::Int32)
}

#[derive(Default)]
struct Fields(RawDocumentBuf);

impl Fields {
    /// Adds a field by the name that it has in Go.
    fn put(&mut self, name: &str, value: RawBson) {
        if let Ok(name) = CString::try_from(capital(name)) {
            self.0.append(name, value);
        }
    }

    fn objects(&mut self, of: &Shape, value: &Value, depth: usize) {
        let Some(object) = value.as_object() else {
            return;
        };
        for (told, value) in object {
            if value.is_null() {
                continue;
            }
            let known = of
                .members()
                .find(|(name, member)| member.text("locationName").unwrap_or(name) == told);
            match known {
                Some((name, member)) => self.put(name, of_json(&member, value, depth + 1)),
                None => self.put(told, of_json(&of.any(), value, depth + 1)),
            }
        }
    }

    fn elements(&mut self, of: &Shape, root: &Element, depth: usize) {
        for (name, member) in of.members() {
            if member.text("location").is_some() {
                continue;
            }
            let told = member.text("locationName").unwrap_or(name);
            if member.is("attribute") {
                let found = root.attributes.iter().find(|(name, _)| name == told);
                if let Some((_, text)) = found {
                    self.put(name, RawBson::String(text.clone()));
                }
                continue;
            }
            if member.is("flattened") {
                let inner = member.inner("member");
                let told = inner.text("locationName").unwrap_or(told);
                let found: Vec<&Element> = root
                    .children
                    .iter()
                    .filter(|child| child.name == told)
                    .collect();
                if !found.is_empty() {
                    self.put(name, many(&member, &found, depth + 1));
                }
                continue;
            }
            if let Some(child) = root.child(told) {
                self.put(name, of_element(&member, child, depth + 1));
            }
        }
    }
}

/// Members that are told in the head of an answer.
fn from_head(out: &mut Fields, shape: &Shape, response: &Response) {
    for (name, member) in shape.members() {
        let told = member.text("locationName").unwrap_or(name);
        match member.text("location") {
            Some("statusCode") => out.put(name, whole(i64::from(response.status.as_u16()))),
            Some("header") => {
                let value = response.headers.get(told).and_then(|v| v.to_str().ok());
                if let Some(text) = value {
                    let value = if member.is("jsonvalue") {
                        let plain = STANDARD.decode(text).ok();
                        let plain = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
                        of_json(&member.any(), &plain.unwrap_or(Value::Null), 0)
                    } else {
                        of_text(&member, text)
                    };
                    out.put(name, value);
                }
            }
            Some("headers") => {
                let mut map = RawDocumentBuf::new();
                for (header, value) in &response.headers {
                    let known = header.as_str();
                    let is_prefixed =
                        known.len() >= told.len() && known[..told.len()].eq_ignore_ascii_case(told);
                    if is_prefixed
                        && let Ok(key) = CString::try_from(canonical(&known[told.len()..]))
                    {
                        map.append(key, String::from_utf8_lossy(value.as_bytes()).as_ref());
                    }
                }
                if !map.is_empty() {
                    out.put(name, RawBson::Document(map));
                }
            }
            _ => {}
        }
    }
}

/// The name of a header as Go's library writes it.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(capital);
    words.collect::<Vec<_>>().join("-")
}

/// A value that is told as text.
fn of_text(of: &Shape, text: &str) -> RawBson {
    match of.made() {
        Made::Whole => text
            .trim()
            .parse()
            .map_or_else(|_| RawBson::String(text.to_owned()), whole),
        Made::Fraction => text
            .trim()
            .parse()
            .map_or_else(|_| RawBson::String(text.to_owned()), RawBson::Double),
        Made::Flag => RawBson::Boolean(text.trim().eq_ignore_ascii_case("true")),
        Made::Blob => STANDARD
            .decode(text.trim())
            .map_or_else(|_| RawBson::String(text.to_owned()), binary),
        Made::Timestamp => moment(text),
        _ => RawBson::String(text.to_owned()),
    }
}

/// A time in any of the formats; text where it is none.
fn moment(text: &str) -> RawBson {
    let text = text.trim();
    if let Ok(date) = bson::DateTime::parse_rfc3339_str(text) {
        return RawBson::DateTime(date);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return RawBson::DateTime(bson::DateTime::from_millis(
            (seconds * 1000.0).round() as i64
        ));
    }
    of_http_date(text).map_or_else(
        || RawBson::String(text.to_owned()),
        |ms| RawBson::DateTime(bson::DateTime::from_millis(ms)),
    )
}

/// `Fri, 24 May 2013 00:00:00 GMT` in milliseconds.
fn of_http_date(text: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split([' ', '-']).skip(1);
    let day: u32 = words.next()?.parse().ok()?;
    let month = words.next().filter(|word| word.len() == 3)?;
    let month = MONTHS.find(month)? / 3 + 1;
    let year: u32 = words.next()?.parse().ok()?;
    let time = words.next()?;
    let written = format!("{year:04}-{month:02}-{day:02}T{time}Z");
    let date = bson::DateTime::parse_rfc3339_str(&written).ok()?;
    Some(date.timestamp_millis())
}

fn of_json(of: &Shape, value: &Value, depth: usize) -> RawBson {
    if depth > DEPTH_MAX {
        return RawBson::Null;
    }
    match (of.made(), value) {
        (_, Value::Null) => RawBson::Null,
        (Made::Blob, Value::String(text)) => of_text(of, text),
        (Made::Timestamp, Value::Number(n)) => moment(&n.to_string()),
        (Made::Timestamp, Value::String(text)) => moment(text),
        (_, Value::Bool(flag)) => RawBson::Boolean(*flag),
        (Made::Fraction, Value::Number(n)) => RawBson::Double(n.as_f64().unwrap_or_default()),
        (_, Value::Number(n)) => match n.as_i64() {
            Some(n) => whole(n),
            None => RawBson::Double(n.as_f64().unwrap_or_default()),
        },
        (_, Value::String(text)) => RawBson::String(text.clone()),
        (_, Value::Array(values)) => {
            let member = of.inner("member");
            let mut list = RawArrayBuf::new();
            for value in values {
                list.push(of_json(&member, value, depth + 1));
            }
            RawBson::Array(list)
        }
        (Made::Map, Value::Object(object)) => {
            let member = of.inner("value");
            let mut map = RawDocumentBuf::new();
            for (name, value) in object {
                if let Ok(name) = CString::try_from(name.as_str()) {
                    map.append(name, of_json(&member, value, depth + 1));
                }
            }
            RawBson::Document(map)
        }
        (_, value @ Value::Object(_)) => {
            let mut fields = Fields::default();
            fields.objects(of, value, depth);
            RawBson::Document(fields.0)
        }
    }
}

fn of_element(of: &Shape, element: &Element, depth: usize) -> RawBson {
    if depth > DEPTH_MAX {
        return RawBson::Null;
    }
    match of.made() {
        Made::Structure => {
            let mut fields = Fields::default();
            fields.elements(of, element, depth);
            RawBson::Document(fields.0)
        }
        Made::List | Made::Map => {
            let all: Vec<&Element> = element.children.iter().collect();
            many(of, &all, depth)
        }
        _ => of_text(of, &element.text),
    }
}

/// A list or a map of its elements.
fn many(of: &Shape, elements: &[&Element], depth: usize) -> RawBson {
    if of.made() == Made::Map {
        let (key, value) = (of.inner("key"), of.inner("value"));
        let mut map = RawDocumentBuf::new();
        for entry in elements {
            let name = entry.child(key.text("locationName").unwrap_or("key"));
            let told = entry.child(value.text("locationName").unwrap_or("value"));
            if let (Some(name), Some(told)) = (name, told)
                && let Ok(name) = CString::try_from(name.text.as_str())
            {
                map.append(name, of_element(&value, told, depth + 1));
            }
        }
        return RawBson::Document(map);
    }
    let member = of.inner("member");
    let mut list = RawArrayBuf::new();
    for element in elements {
        list.push(of_element(&member, element, depth + 1));
    }
    RawBson::Array(list)
}
