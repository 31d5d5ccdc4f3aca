//! What is said of a server that gave no answer: what is wrong, and what to do.

use std::io;

use ureq::http::Uri;

use crate::archives::Failed;

/// A server's URL, without a slash at the end.
///
/// # Errors
/// It is none.
pub(crate) fn server_url(url: &str) -> Result<String, Failed> {
    let plain = url.trim_end_matches('/');
    let fits = plain.parse::<Uri>().is_ok_and(|uri| {
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        known && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    });
    if fits {
        return Ok(plain.to_owned());
    }
    let url = url.escape_debug();
    Err(format!("{url} is no URL of a server, such as http://127.0.0.1:9090").into())
}

/// Why a server gave no answer.
pub(crate) fn unreached(url: &str, error: &ureq::Error) -> String {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
    };
    match error {
        ureq::Error::Io(io) if io.kind() == ConnectionRefused => format!(
            "{url}: nobody answers there ({io}): is the server running, and is that its URL?"
        ),
        ureq::Error::Timeout(what) => {
            format!("{url}: the server did not answer in time ({what})")
        }
        ureq::Error::HostNotFound => format!("{url}: there is no such host"),
        // It may have done what was asked, and may not.
        ureq::Error::Io(io)
            if matches!(
                io.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            ) =>
        {
            went_away(url, io)
        }
        ureq::Error::Io(io) if io.to_string().contains("Peer disconnected") => went_away(url, io),
        ureq::Error::Io(io) => format!("{url}: {io}"),
        error => format!("{url}: {error}"),
    }
}

fn went_away(url: &str, why: &io::Error) -> String {
    format!(
        "{url}: the server went away before it answered ({why}): whether it did what was asked \
         is not known; look again when it is back"
    )
}

#[cfg(test)]
mod tests {
    use super::server_url;

    #[test]
    fn a_servers_url_is_known() {
        for (url, plain) in [
            ("http://127.0.0.1:9090/", "http://127.0.0.1:9090"),
            ("https://apps.example/base", "https://apps.example/base"),
            ("http://[::1]:9090", "http://[::1]:9090"),
        ] {
            assert_eq!(server_url(url).unwrap(), plain);
        }
        for wrong in [
            "",
            "nonsense",
            "127.0.0.1:9090",
            "localhost:9090",
            "ftp://a.example",
            "http://",
            "http://a.example/?b=c",
            "http://a b",
        ] {
            let error = server_url(wrong).unwrap_err().to_string();
            assert!(error.contains("is no URL of a server"), "{wrong}: {error}");
        }
    }
}
