//! What is wrong with the settings of hosting (triggers-ops.md §11.1).

use serde_json::Value;

use crate::Node;

/// Characters of a domain name, and of a part of one.
const DOMAIN_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// What is wrong: fields, and what to say of each. Types are checked elsewhere.
pub(crate) fn faults(node: &Node) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let domain = node.text("custom_domain");
    if !domain.is_empty() && !is_domain(domain) {
        let text = format!("\"{domain}\" is no domain name such as shop.example.com");
        found.push(("custom_domain", text));
    }
    let page = node.text("default_error_path");
    if !page.is_empty() && !page.starts_with('/') {
        let text = format!("\"{page}\" is no path: it has to start with '/'");
        found.push(("default_error_path", text));
    }
    for field in ["default_response_code", "default_error_code"] {
        let code = node.json.get(field).filter(|code| !code.is_null());
        if code.is_some_and(|code| !is_status(code)) {
            let text = format!("\"{field}\" has to be an HTTP status from 200 to 599");
            found.push((field, text));
        }
    }
    found
}

/// A name of DNS with a dot in it, which is no address: no scheme, port or path.
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels: Vec<&str> = name.split('.').collect();
    let fits = |label: &&str| {
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = labels.last().copied().unwrap_or_default();
    name.len() <= DOMAIN_CHARS_MAX
        && labels.len() > 1
        && labels.iter().all(fits)
        && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Exports have it as a number or as a text; an empty one is none.
fn is_status(code: &Value) -> bool {
    let number = match code {
        Value::String(text) if text.is_empty() => return true,
        Value::String(text) => text.parse().ok(),
        code => code.as_u64(),
    };
    number.is_some_and(|number| (200..600).contains(&number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{faults, is_domain};
    use crate::Node;

    #[test]
    fn domains() {
        for good in [
            "example.com",
            "www.Shop-1.example.co.uk",
            "xn--bcher-kva.example.",
            "a.b1",
        ] {
            assert!(is_domain(good), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "localhost",
            "https://example.com",
            "example.com/x",
            "example.com:443",
            "1.2.3.4",
            ".example.com",
            "a..b",
            "-a.com",
            "a-.com",
            "*.example.com",
            "ex ample.com",
            "::1",
            "example.com\n",
            &long,
            &"a.".repeat(130),
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn settings() {
        let fields = |json| -> Vec<&str> {
            let found = faults(&Node::new(json)).into_iter();
            found.map(|(field, _)| field).collect()
        };
        let good = json!({
            "enabled": true, "custom_domain": "", "default_error_path": "/404.html",
            "default_error_code": "404", "default_response_code": 200,
        });
        assert!(fields(good).is_empty());
        let bad = json!({
            "custom_domain": "nowhere", "default_error_path": "404.html",
            "default_error_code": "x", "default_response_code": 99,
        });
        assert_eq!(
            fields(bad),
            [
                "custom_domain",
                "default_error_path",
                "default_response_code",
                "default_error_code"
            ]
        );
    }
}
