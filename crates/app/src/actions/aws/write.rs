//! A request for an operation of AWS, in the service's protocol, before it is
//! signed.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use egress::{HeaderMap, HeaderName, HeaderValue};
use kit::Problem;
use md5::Digest as _;
use serde_json::{Map, Value};

use super::model::{Made, Operation, Protocol, Shape};
use super::sign::escaped;
use super::xml::{escape, escape_attribute};
use crate::actions::http::{invalid, plain_text};

/// A request without a host.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// With escapes.
    pub(super) path: String,
    /// Without.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Draft {
    fn header(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let wrong = || invalid(format!("the header '{name}' cannot have that value"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        self.headers.insert(name, value);
        Ok(())
    }
}

/// The request of an operation.
///
/// # Errors
/// When a part of it cannot be written.
pub(super) fn request(
    operation: &Operation,
    name: &str,
    input: &RawDocument,
) -> Result<Draft, Problem> {
    let api = operation.api;
    let input = &with_tokens(&operation.input(), input);
    let mut draft = Draft {
        path: "/".to_owned(),
        ..Draft::default()
    };
    match api.protocol() {
        Protocol::Json => {
            let version = api.text("json");
            draft.header("content-type", &format!("application/x-amz-json-{version}"))?;
            draft.header("x-amz-target", &format!("{}.{name}", api.text("target")))?;
            let body = json(&operation.input(), RawBsonRef::Document(input));
            let body = if body.is_null() {
                Value::Object(Map::new())
            } else {
                body
            };
            draft.body = body.to_string().into_bytes();
        }
        protocol @ (Protocol::Query | Protocol::Ec2) => {
            let mut form = Form {
                pairs: vec![
                    ("Action".to_owned(), name.to_owned()),
                    ("Version".to_owned(), api.text("version").to_owned()),
                ],
                is_ec2: protocol == Protocol::Ec2,
            };
            form.structure("", &operation.input(), input);
            let pairs: Vec<String> = form
                .pairs
                .iter()
                .map(|(name, value)| format!("{}={}", escaped(name, false), escaped(value, false)))
                .collect();
            draft.body = pairs.join("&").into_bytes();
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            draft.header("content-type", kind)?;
        }
        protocol => rest(operation, name, input, protocol, &mut draft)?,
    }
    Ok(draft)
}

/// The input with the tokens that SDKs make, by which a request that arrives
/// twice is known.
fn with_tokens(shape: &Shape, input: &RawDocument) -> RawDocumentBuf {
    let mut whole = input.to_owned();
    for (name, _) in shape.members().filter(|(_, of)| of.is("token")) {
        let capital = super::model::capital(name);
        let is_there = |name: &str| matches!(input.get(name), Ok(Some(_)));
        if !is_there(name)
            && !is_there(&capital)
            && let Ok(key) = bson::raw::CString::try_from(name)
        {
            whole.append(key, bson::Uuid::new().to_string());
        }
    }
    whole
}

/// The fields of an input by the members of its shape; what is null is not there.
fn fields<'d>(shape: &Shape, input: &'d RawDocument) -> Vec<(&'static str, Shape, RawBsonRef<'d>)> {
    let mut found: Vec<(&'static str, Shape, RawBsonRef<'d>)> = Vec::new();
    // In the order of the description: some readers of XML need it.
    for (name, member) in shape.members() {
        let capital = super::model::capital(name);
        let value = [name, capital.as_str()]
            .into_iter()
            .find_map(|name| input.get(name).ok().flatten());
        match value {
            None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => {}
            Some(value) => found.push((name, member, value)),
        }
    }
    found
}

fn rest(
    operation: &Operation,
    name: &str,
    input: &RawDocument,
    protocol: Protocol,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let shape = operation.input();
    let (path, fixed) = operation
        .uri()
        .split_once('?')
        .unwrap_or((operation.uri(), ""));
    let mut path = path.to_owned();
    for pair in fixed.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        draft.query.push((name.to_owned(), value.to_owned()));
    }
    let payload = shape.text("payload");
    let mut body: Vec<(&str, Shape, RawBsonRef<'_>)> = Vec::new();
    let mut raw = None;
    for (member, of, value) in fields(&shape, input) {
        let sent = of.text("locationName").unwrap_or(member);
        match of.text("location") {
            Some("uri") => {
                let text = header_text(&of, value, false);
                let (whole, part) = (format!("{{{sent}+}}"), format!("{{{sent}}}"));
                path = path.replace(&whole, &escaped(text.trim_start_matches('/'), true));
                path = path.replace(&part, &escaped(&text, false));
            }
            Some("querystring") => match value {
                RawBsonRef::Document(map) => {
                    for (name, value) in map.iter().flatten() {
                        draft
                            .query
                            .push((name.as_str().to_owned(), plain_text(value)));
                    }
                }
                RawBsonRef::Array(list) => {
                    for value in list.into_iter().flatten() {
                        let text = header_text(&of.inner("member"), value, false);
                        draft.query.push((sent.to_owned(), text));
                    }
                }
                value => draft
                    .query
                    .push((sent.to_owned(), header_text(&of, value, false))),
            },
            Some("headers") => {
                if let RawBsonRef::Document(map) = value {
                    for (name, value) in map.iter().flatten() {
                        let name = format!("{sent}{}", name.as_str());
                        draft.header(&name, &plain_text(value))?;
                    }
                }
            }
            Some("header") => {
                let text = match value {
                    RawBsonRef::Array(list) => {
                        let all = list.into_iter().flatten().map(plain_text);
                        all.collect::<Vec<_>>().join(",")
                    }
                    value if of.is("jsonvalue") => {
                        STANDARD.encode(json(&of.any(), value).to_string())
                    }
                    value => header_text(&of, value, true),
                };
                // The connection says the length.
                if !sent.eq_ignore_ascii_case("content-length") {
                    draft.header(sent, &text)?;
                }
            }
            _ if payload == Some(member) => raw = Some((of, sent, value)),
            _ => body.push((member, of, value)),
        }
    }
    if protocol == Protocol::RestJson && payload.is_none() {
        // Members of which nothing needs to be known are not described.
        for (name, value) in input.iter().flatten() {
            let is_none = matches!(value, RawBsonRef::Null | RawBsonRef::Undefined);
            if !is_none && shape.member(name.as_str()).is_none() {
                body.push((name.as_str(), shape.any(), value));
            }
        }
    }
    // Amazon Glacier's own account is a dash.
    path = path.replace("{accountId}", "-");
    if path.contains('{') {
        return Err(Problem::missing_parameter(format!(
            "{name} needs what its address has: {}",
            operation.uri()
        )));
    }
    draft.path = path.replace("//", "/");
    let is_step = |part: &str| matches!(part, "." | "..");
    if draft.path.split('/').any(is_step) {
        return Err(invalid("a name in the address cannot be '.' or '..'"));
    }
    match (raw, protocol) {
        (Some((of, _, value)), _)
            if !matches!(of.made(), Made::Structure | Made::Map | Made::List) =>
        {
            draft.body = bytes(value);
        }
        (Some((of, sent, value)), Protocol::RestXml) => {
            let mut out = String::new();
            element(&mut out, sent, &of, value);
            draft.body = out.into_bytes();
        }
        (Some((of, _, value)), _) => draft.body = json(&of, value).to_string().into_bytes(),
        (None, _) if body.is_empty() => {}
        (None, Protocol::RestXml) => {
            let sent = shape.text("locationName").unwrap_or(name);
            let mut out = String::new();
            element(&mut out, sent, &shape, RawBsonRef::Document(input));
            draft.body = out.into_bytes();
        }
        (None, _) => {
            let mut object = Map::new();
            for (member, of, value) in body {
                let sent = of.text("locationName").unwrap_or(member);
                object.insert(sent.to_owned(), json(&of, value));
            }
            draft.body = Value::Object(object).to_string().into_bytes();
            draft.header("content-type", "application/json")?;
        }
    }
    if protocol == Protocol::RestXml && !draft.body.is_empty() && draft.body.starts_with(b"<") {
        let is_structure = payload.is_none_or(|payload| {
            shape
                .member(payload)
                .is_some_and(|(_, of)| of.made() == Made::Structure)
        });
        if is_structure {
            let sum = STANDARD.encode(md5::Md5::digest(&draft.body));
            draft.header("content-md5", &sum)?;
            if !draft.headers.contains_key("content-type") {
                draft.header("content-type", "application/xml")?;
            }
        }
    }
    if operation.api.text("host") == "glacier" {
        draft.header("x-amz-glacier-version", operation.api.text("version"))?;
    }
    Ok(())
}

/// The bytes of a blob: of binary data, or of text.
fn bytes(value: RawBsonRef<'_>) -> Vec<u8> {
    match value {
        RawBsonRef::Binary(binary) => binary.bytes.to_vec(),
        value => plain_text(value).into_bytes(),
    }
}

/// A time in a format: `iso8601`, `rfc822` or `unixTimestamp`.
fn time(value: RawBsonRef<'_>, format: &str) -> String {
    let RawBsonRef::DateTime(date) = value else {
        return plain_text(value);
    };
    match format {
        "unixTimestamp" => {
            let ms = date.timestamp_millis();
            if ms % 1000 == 0 {
                (ms / 1000).to_string()
            } else {
                (ms as f64 / 1000.0).to_string()
            }
        }
        "rfc822" => http_date(date.timestamp_millis()),
        _ => {
            let whole =
                bson::DateTime::from_millis(date.timestamp_millis().div_euclid(1000) * 1000);
            whole.try_to_rfc3339_string().unwrap_or_default()
        }
    }
}

/// `Fri, 24 May 2013 00:00:00 GMT`.
fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let day = ms.div_euclid(86_400_000).rem_euclid(7);
    let text = bson::DateTime::from_millis(ms)
        .try_to_rfc3339_string()
        .unwrap_or_default();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().unwrap_or(1).clamp(1, 12);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[day as usize],
        part(8..10),
        MONTHS[month - 1],
        part(0..4),
        part(11..19)
    )
}

/// A value in an address or a header.
fn header_text(of: &Shape, value: RawBsonRef<'_>, is_header: bool) -> String {
    match of.made() {
        Made::Timestamp => {
            let usual = if is_header { "rfc822" } else { "iso8601" };
            time(value, of.text("timestampFormat").unwrap_or(usual))
        }
        Made::Blob => STANDARD.encode(bytes(value)),
        _ => plain_text(value),
    }
}

/// A value as JSON.
fn json(of: &Shape, value: RawBsonRef<'_>) -> Value {
    match (of.made(), value) {
        (_, RawBsonRef::Null | RawBsonRef::Undefined) => Value::Null,
        (Made::Blob, value) => Value::String(STANDARD.encode(bytes(value))),
        (Made::Timestamp, RawBsonRef::DateTime(_)) => {
            let format = of.text("timestampFormat").unwrap_or("unixTimestamp");
            let text = time(value, format);
            match text.parse::<serde_json::Number>() {
                Ok(number) if format == "unixTimestamp" => Value::Number(number),
                _ => Value::String(text),
            }
        }
        (made, RawBsonRef::Document(document)) => {
            let mut object = Map::new();
            for (name, value) in document.iter().flatten() {
                if matches!(value, RawBsonRef::Null | RawBsonRef::Undefined) {
                    continue;
                }
                let (sent, member) = match made {
                    Made::Map => (name.as_str(), of.inner("value")),
                    _ => match of.member(name.as_str()) {
                        Some((known, member)) => {
                            (member.text("locationName").unwrap_or(known), member)
                        }
                        None => (name.as_str(), of.any()),
                    },
                };
                object.insert(sent.to_owned(), json(&member, value));
            }
            Value::Object(object)
        }
        (_, RawBsonRef::Array(list)) => {
            let member = of.inner("member");
            let values = list.into_iter().flatten();
            Value::Array(values.map(|value| json(&member, value)).collect())
        }
        (_, RawBsonRef::Boolean(flag)) => Value::Bool(flag),
        (_, RawBsonRef::Int32(n)) => Value::from(n),
        (_, RawBsonRef::Int64(n)) => Value::from(n),
        (_, RawBsonRef::Double(n)) if n.fract() == 0.0 && n.abs() < 9e15 => Value::from(n as i64),
        (_, RawBsonRef::Double(n)) => Value::from(n),
        (_, RawBsonRef::Binary(_)) => Value::String(STANDARD.encode(bytes(value))),
        (_, RawBsonRef::DateTime(_)) => Value::String(time(value, "iso8601")),
        (_, value) => Value::String(plain_text(value)),
    }
}

/// The parameters of the query protocols.
struct Form {
    pairs: Vec<(String, String)>,
    is_ec2: bool,
}

impl Form {
    fn structure(&mut self, prefix: &str, of: &Shape, document: &RawDocument) {
        for (member, inner, value) in fields(of, document) {
            let name = if self.is_ec2 {
                match (inner.text("queryName"), inner.text("locationName")) {
                    (Some(name), _) => name.to_owned(),
                    (None, Some(name)) => super::model::capital(name),
                    (None, None) => member.to_owned(),
                }
            } else {
                inner.text("locationName").unwrap_or(member).to_owned()
            };
            let name = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            self.value(&name, &inner, value);
        }
    }

    fn value(&mut self, name: &str, of: &Shape, value: RawBsonRef<'_>) {
        match (of.made(), value) {
            (Made::Map, RawBsonRef::Document(map)) => {
                let key = of.inner("key").text("locationName").unwrap_or("key");
                let inner = of.inner("value");
                let value_name = inner.text("locationName").unwrap_or("value");
                let entry = if of.is("flattened") { "" } else { ".entry" };
                for (index, (known, value)) in map.iter().flatten().enumerate() {
                    let at = format!("{name}{entry}.{}", index + 1);
                    self.pairs
                        .push((format!("{at}.{key}"), known.as_str().to_owned()));
                    self.value(&format!("{at}.{value_name}"), &inner, value);
                }
            }
            (_, RawBsonRef::Document(document)) => self.structure(name, of, document),
            (_, RawBsonRef::Array(list)) => {
                let inner = of.inner("member");
                let own = inner.text("locationName");
                let base = if self.is_ec2 {
                    name.to_owned()
                } else if of.is("flattened") {
                    match (own, name.rsplit_once('.')) {
                        (Some(own), Some((before, _))) => format!("{before}.{own}"),
                        (Some(own), None) => own.to_owned(),
                        (None, _) => name.to_owned(),
                    }
                } else {
                    format!("{name}.{}", own.unwrap_or("member"))
                };
                let mut count = 0;
                for value in list.into_iter().flatten() {
                    count += 1;
                    self.value(&format!("{base}.{count}"), &inner, value);
                }
                if count == 0 && !self.is_ec2 {
                    self.pairs.push((name.to_owned(), String::new()));
                }
            }
            (Made::Timestamp, value) => {
                let format = of.text("timestampFormat").unwrap_or("iso8601");
                self.pairs.push((name.to_owned(), time(value, format)));
            }
            (Made::Blob, value) => {
                let text = STANDARD.encode(bytes(value));
                self.pairs.push((name.to_owned(), text));
            }
            (_, value) => self.pairs.push((name.to_owned(), plain_text(value))),
        }
    }
}

/// An element of XML.
fn element(out: &mut String, name: &str, of: &Shape, value: RawBsonRef<'_>) {
    let empty = RawDocumentBuf::new();
    match (of.made(), value) {
        (Made::List, RawBsonRef::Array(list)) => {
            let inner = of.inner("member");
            let own = inner.text("locationName");
            if of.is("flattened") {
                for value in list.into_iter().flatten() {
                    element(out, own.unwrap_or(name), &inner, value);
                }
                return;
            }
            let _ = write!(out, "<{name}>");
            for value in list.into_iter().flatten() {
                element(out, own.unwrap_or("member"), &inner, value);
            }
            let _ = write!(out, "</{name}>");
        }
        (Made::Structure, value) => {
            let document = value.as_document().unwrap_or(&empty);
            let members = fields(of, document);
            out.push('<');
            out.push_str(name);
            if let Some(xmlns) = of.text("xmlns").filter(|uri| !uri.contains("XMLSchema")) {
                let _ = write!(out, " xmlns=\"{}\"", escape_attribute(xmlns));
            }
            for (member, inner, value) in members.iter().filter(|(_, of, _)| of.is("attribute")) {
                let name = inner.text("locationName").unwrap_or(member);
                if name.starts_with("xsi:") {
                    out.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"");
                }
                let _ = write!(out, " {name}=\"{}\"", escape_attribute(&plain_text(*value)));
            }
            out.push('>');
            for (member, inner, value) in &members {
                if !inner.is("attribute") && inner.text("location").is_none() {
                    let name = inner.text("locationName").unwrap_or(member);
                    element(out, name, inner, *value);
                }
            }
            let _ = write!(out, "</{name}>");
        }
        (made, value) => {
            let text = match made {
                Made::Timestamp => time(value, of.text("timestampFormat").unwrap_or("iso8601")),
                Made::Blob => STANDARD.encode(bytes(value)),
                _ => plain_text(value),
            };
            let _ = write!(out, "<{name}>{}</{name}>", escape(&text));
        }
    }
}
