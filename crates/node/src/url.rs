//! `url`: URLs of the WHATWG standard, percent decoding, labels of domains.

use ::url::{Url, quirks};

use crate::{NodeError, Value, arguments::Arguments};

/// Runs `url.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let arguments = Arguments(arguments);
    Some(match name {
        "parse" => parse(&arguments),
        "set" => set(&arguments),
        "percentDecode" => arguments
            .text(0)
            .map(|text| Value::Bytes(percent_encoding::percent_decode_str(text).collect())),
        "toAscii" => arguments
            .text(0)
            .map(|domain| Value::Text(quirks::domain_to_ascii(domain))),
        "toUnicode" => arguments
            .text(0)
            .map(|domain| Value::Text(quirks::domain_to_unicode(domain))),
        "punycodeEncode" => arguments
            .text(0)
            .map(|text| idna::punycode::encode_str(text).map_or(Value::Null, Value::Text)),
        "punycodeDecode" => arguments
            .text(0)
            .map(|text| idna::punycode::decode_to_string(text).map_or(Value::Null, Value::Text)),
        _ => return None,
    })
}

/// Text and base (or null): the parts of the URL; null when it is none.
fn parse(arguments: &Arguments) -> Result<Value, NodeError> {
    let input = arguments.text(0)?;
    let base = match arguments.get(1) {
        Value::Text(base) => Some(Url::parse(base)),
        _ => None,
    };
    let url = match base {
        None => Url::parse(input),
        // Any number of slashes begins an authority there.
        Some(Ok(base)) if base.is_special() && base.scheme() != "file" => {
            let start = input.trim_start_matches(|c: char| c <= ' ');
            let rest = start.trim_start_matches(['/', '\\']);
            if start.len() - rest.len() > 2 {
                base.join(&format!("//{rest}"))
            } else {
                base.join(input)
            }
        }
        Some(Ok(base)) => base.join(input),
        Some(Err(error)) => Err(error),
    };
    Ok(url.map_or(Value::Null, |url| parts(&url)))
}

/// URL, name of a part, its new value: the parts of the changed URL, or null
/// when the part cannot have that value.
fn set(arguments: &Arguments) -> Result<Value, NodeError> {
    let value = arguments.text(2)?;
    let Ok(mut url) = Url::parse(arguments.text(0)?) else {
        return Ok(Value::Null);
    };
    let changed = match arguments.text(1)? {
        "href" => quirks::set_href(&mut url, value).map_err(|_| ()),
        "protocol" => quirks::set_protocol(&mut url, value),
        "username" => quirks::set_username(&mut url, value),
        "password" => quirks::set_password(&mut url, value),
        "host" => quirks::set_host(&mut url, value),
        "hostname" => quirks::set_hostname(&mut url, value),
        "port" => quirks::set_port(&mut url, value),
        "pathname" => {
            quirks::set_pathname(&mut url, value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, value);
            Ok(())
        }
        _ => Err(()),
    };
    Ok(changed.map_or(Value::Null, |()| parts(&url)))
}

/// In the order that the module expects.
fn parts(url: &Url) -> Value {
    let texts = [
        quirks::href(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
    ];
    let mut values: Vec<Value> = texts.map(|text| Value::Text(text.to_owned())).into();
    values.push(Value::Text(quirks::origin(url)));
    Value::List(values)
}
