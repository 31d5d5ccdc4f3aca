//! X.509 certificates: what they say, taken apart. Whether it is true is asked
//! with `verify`.

use super::der::{self, Malformed, Reader};
use super::import::pem_content;
use super::keys::Key;
use crate::arguments::Arguments;
use crate::{NodeError, Value};

const TAGGED_3: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
/// The extensions that are looked at, below 2.5.29.
const SUBJECT_ALTERNATIVES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_USES: &[u8] = &[0x55, 0x1d, 0x25];

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// `(bytes)` of PEM or DER to the parts of a certificate.
pub(super) fn read(a: &Arguments) -> Result<Value, NodeError> {
    let bytes = a.bytes(0)?;
    let content;
    let raw = if bytes.first() == Some(&der::SEQUENCE) {
        bytes
    } else {
        content = pem_content(bytes, "CERTIFICATE")?;
        &content
    };
    Ok(parts(raw)?)
}

fn parts(raw: &[u8]) -> Result<Value, Malformed> {
    let content = Reader::new(raw).value(der::SEQUENCE)?;
    let raw = der::value(der::SEQUENCE, content);
    let mut content = Reader::new(content);
    let signed = content.value(der::SEQUENCE)?;
    let algorithm = content.sequence()?.value(der::IDENTIFIER)?;
    let signature = content.bits()?;
    let (hash, scheme) = signature_algorithm(algorithm);

    let mut fields = Reader::new(signed);
    if fields.peek() == der::TAGGED_0 {
        fields.skip()?;
    }
    let serial = fields.value(der::INTEGER)?;
    fields.skip()?;
    let issuer = fields.value(der::SEQUENCE)?;
    let mut validity = fields.sequence()?;
    let (from, to) = (time(&mut validity)?, time(&mut validity)?);
    let subject = fields.value(der::SEQUENCE)?;
    let key = fields.value(der::SEQUENCE)?;
    let key = Key::from_spki(&der::value(der::SEQUENCE, key));

    let (mut names, mut uses, mut authority) = (Value::Undefined, Value::Undefined, false);
    while !fields.is_empty() {
        if fields.peek() != TAGGED_3 {
            fields.skip()?;
            continue;
        }
        let mut extensions = fields.inside(TAGGED_3)?.sequence()?;
        while !extensions.is_empty() {
            let mut extension = extensions.sequence()?;
            let identifier = extension.value(der::IDENTIFIER)?;
            if extension.peek() == BOOLEAN {
                extension.skip()?;
            }
            let mut value = Reader::new(extension.value(der::OCTETS)?);
            match identifier {
                SUBJECT_ALTERNATIVES => names = alternatives(value.sequence()?)?,
                BASIC_CONSTRAINTS => {
                    let mut value = value.sequence()?;
                    authority = value.peek() == BOOLEAN && value.value(BOOLEAN)? != [0];
                }
                EXTENDED_USES => uses = identifiers(value.sequence()?)?,
                _ => {}
            }
        }
    }
    let parts = vec![
        ("raw", Value::Bytes(raw)),
        ("signed", Value::Bytes(der::value(der::SEQUENCE, signed))),
        ("signature", Value::Bytes(signature.to_vec())),
        ("hash", hash.map_or(Value::Undefined, text)),
        ("scheme", text(scheme)),
        ("serial", text(hex::encode_upper(strip(serial)))),
        ("issuer", name(issuer)?),
        ("issuerRaw", Value::Bytes(issuer.to_vec())),
        ("subject", name(subject)?),
        ("subjectRaw", Value::Bytes(subject.to_vec())),
        ("from", Value::Number(from)),
        ("to", Value::Number(to)),
        ("key", key.map_or(Value::Undefined, |key| key.described())),
        ("names", names),
        ("uses", uses),
        ("authority", Value::Bool(authority)),
    ];
    let parts = parts.into_iter();
    Ok(Value::Map(
        parts
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    ))
}

/// A serial number's bytes without the zero that keeps it positive.
fn strip(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// The hash function and the kind of key of a signature.
fn signature_algorithm(identifier: &[u8]) -> (Option<&'static str>, &'static str) {
    match identifier {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => {
            let hash = match last {
                4 => "md5",
                5 => "sha1",
                11 => "sha256",
                12 => "sha384",
                13 => "sha512",
                14 => "sha224",
                _ => return (None, ""),
            };
            (Some(hash), "rsa")
        }
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => (Some("sha1"), "ec"),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last @ 1..=4] => {
            let hash = ["sha224", "sha256", "sha384", "sha512"][usize::from(*last) - 1];
            (Some(hash), "ec")
        }
        [0x2b, 0x65, 0x70] => (None, "ed25519"),
        _ => (None, ""),
    }
}

/// A name's parts: pairs of a short name and a value.
fn name(content: &[u8]) -> Result<Value, Malformed> {
    let mut sets = Reader::new(content);
    let mut parts = Vec::new();
    while !sets.is_empty() {
        let mut set = sets.inside(SET)?;
        while !set.is_empty() {
            let mut part = set.sequence()?;
            let key = short_name(part.value(der::IDENTIFIER)?)?;
            let tag = part.peek();
            let value = string(tag, part.value(tag)?);
            parts.push(Value::List(vec![text(key), text(value)]));
        }
    }
    Ok(Value::List(parts))
}

/// A string of any of its types.
fn string(tag: u8, bytes: &[u8]) -> String {
    match tag {
        // Of two bytes each.
        0x1e => {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        0x0c => String::from_utf8_lossy(bytes).into_owned(),
        _ => bytes.iter().copied().map(char::from).collect(),
    }
}

fn short_name(identifier: &[u8]) -> Result<String, Malformed> {
    let known = match identifier {
        [0x55, 0x04, last] => match last {
            3 => "CN",
            4 => "SN",
            5 => "serialNumber",
            6 => "C",
            7 => "L",
            8 => "ST",
            9 => "street",
            10 => "O",
            11 => "OU",
            12 => "title",
            42 => "GN",
            _ => "",
        },
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => "",
    };
    if known.is_empty() {
        dotted(identifier)
    } else {
        Ok(known.to_owned())
    }
}

/// An identifier as numbers with dots.
fn dotted(identifier: &[u8]) -> Result<String, Malformed> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0u64;
    for byte in identifier {
        number = number.checked_mul(128).ok_or(Malformed)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    Ok(numbers.join("."))
}

fn identifiers(mut content: Reader) -> Result<Value, Malformed> {
    let mut list = Vec::new();
    while !content.is_empty() {
        list.push(text(dotted(content.value(der::IDENTIFIER)?)?));
    }
    Ok(Value::List(list))
}

/// Other names of the subject: pairs of a kind and a value.
fn alternatives(mut content: Reader) -> Result<Value, Malformed> {
    let mut list = Vec::new();
    while !content.is_empty() {
        let tag = content.peek();
        let value = content.value(tag)?;
        let latin = || string(0, value);
        let (kind, value) = match (tag, value.len()) {
            (0x81, _) => ("email", latin()),
            (0x82, _) => ("DNS", latin()),
            (0x86, _) => ("URI", latin()),
            (0x87, 4) => {
                let mut address = [0u8; 4];
                address.copy_from_slice(value);
                ("IP Address", std::net::Ipv4Addr::from(address).to_string())
            }
            (0x87, 16) => {
                let mut address = [0u8; 16];
                address.copy_from_slice(value);
                ("IP Address", std::net::Ipv6Addr::from(address).to_string())
            }
            (0x88, _) => ("Registered ID", dotted(value)?),
            _ => ("othername", "<unsupported>".to_owned()),
        };
        list.push(Value::List(vec![text(kind), text(value)]));
    }
    Ok(Value::List(list))
}

/// A time in milliseconds since 1970.
fn time(content: &mut Reader) -> Result<f64, Malformed> {
    let short = content.peek() == UTC_TIME;
    let bytes = content.value(content.peek())?;
    let digits = bytes.strip_suffix(b"Z").ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) || digits.len() != if short { 12 } else { 14 } {
        return Err(Malformed);
    }
    let number = |from: usize, to: usize| {
        let digits = &digits[from..to];
        digits
            .iter()
            .fold(0, |n, digit| n * 10 + i64::from(digit - b'0'))
    };
    let at = if short { 2 } else { 4 };
    let year = match number(0, at) {
        year @ 0..50 if short => 2000 + year,
        year if short => 1900 + year,
        year => year,
    };
    let (month, day) = (number(at, at + 2), number(at + 2, at + 4));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(Malformed);
    }
    // Days since 1970, with years that begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + of_year
        - 719_468;
    let seconds =
        number(at + 4, at + 6) * 3600 + number(at + 6, at + 8) * 60 + number(at + 8, at + 10);
    Ok(((days * 86_400 + seconds) * 1000) as f64)
}
