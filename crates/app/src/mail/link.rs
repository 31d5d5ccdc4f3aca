//! Addresses and links of mails.

use kit::limit;

/// Whether mail can go to an address: one mailbox, without comments and quotes,
/// which no mailbox needs and injected headers do.
pub(crate) fn is_address(text: &str) -> bool {
    let plain = |c: char| {
        !c.is_control()
            && !c.is_whitespace()
            && !matches!(
                c,
                '"' | '(' | ')' | ',' | ':' | ';' | '<' | '>' | '@' | '[' | ']' | '\\'
            )
    };
    text.len() <= limit::MAIL_ADDRESS_BYTES_MAX
        && text.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty()
                && !domain.is_empty()
                && name.chars().all(plain)
                && domain.chars().all(plain)
                && domain.split('.').all(|label| !label.is_empty())
        })
}

/// The mailbox of an address, as mails are counted: whatever letters are large and
/// whatever is added behind a plus, it is one.
pub(super) fn mailbox(address: &str) -> String {
    let address = address.to_lowercase();
    match address.rsplit_once('@') {
        Some((name, domain)) => {
            let name = name.split('+').next().unwrap_or_default();
            format!("{name}@{domain}")
        }
        None => address,
    }
}

/// A URL with one more pair in its query, before the fragment. It may be that of
/// a mobile app: nothing else of it is touched.
pub(super) fn with_query(url: &str, pair: &str) -> Result<String, &'static str> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the app's URL for links is none");
    }
    let (front, fragment) = match url.split_once('#') {
        Some((front, fragment)) => (front, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let between = match front.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let link = format!("{front}{between}{pair}{fragment}");
    if link.len() > limit::MAIL_LINK_BYTES_MAX {
        return Err("the app's URL for links is too long");
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::{is_address, mailbox, with_query};

    #[test]
    fn one_mailbox_is_an_address() {
        for good in [
            "a@b",
            "ann.o'neil+x@mail.example.com",
            "ä@bücher.example",
            "a!#$%&*/=?^`{|}~-@b",
        ] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@b", "x".repeat(253));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b@c",
            "a@b,c@d",
            "a@b;c@d",
            "<a@b>",
            "A <a@b>",
            "\"a\"@b",
            "a(x)@b",
            "a@b\r\nBcc: c@d",
            "a\n@b",
            "a @b",
            "a@b ",
            "a@b\u{2028}",
            "a\0@b",
            "a@[127.0.0.1]",
            "a@b..c",
            "a@.b",
            "a@b.",
            "a\\@b",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn one_mailbox_has_many_addresses() {
        for same in [
            "Ann@Example.com",
            "ann+1@example.com",
            "ANN+a+b@example.COM",
        ] {
            assert_eq!(mailbox(same), "ann@example.com");
        }
        assert_ne!(mailbox("ann@example.com"), mailbox("bob@example.com"));
    }

    #[test]
    fn tokens_go_in_the_query_whatever_is_there() {
        for (url, link) in [
            ("https://a.example", "https://a.example?t=1"),
            ("https://a.example/x/", "https://a.example/x/?t=1"),
            ("https://a.example/x?y=2", "https://a.example/x?y=2&t=1"),
            ("https://a.example/x?", "https://a.example/x?t=1"),
            ("https://a.example/x?y&", "https://a.example/x?y&t=1"),
            (
                "https://a.example/#/confirm",
                "https://a.example/?t=1#/confirm",
            ),
            (
                "https://a.example/?y=2#z?w",
                "https://a.example/?y=2&t=1#z?w",
            ),
            ("my-app://confirm", "my-app://confirm?t=1"),
        ] {
            assert_eq!(with_query(url, "t=1").as_deref(), Ok(link));
        }
        for bad in [
            "a.example",
            "/confirm",
            "://x",
            "1a://x",
            "https://a b",
            "https://a\r\nX: y",
        ] {
            assert!(with_query(bad, "t=1").is_err(), "{bad}");
        }
        let long = format!("https://a/{}", "x".repeat(5000));
        assert!(with_query(&long, "t=1").is_err());
    }
}
