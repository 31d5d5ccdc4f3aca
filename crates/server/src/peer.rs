//! Who is at the other end: the peer, or the client that a trusted proxy
//! forwards for, and the address by which it reached us.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{self, HeaderMap};
use kit::{Network, Problem};

fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The client: the peer, or the last one in `X-Forwarded-For` that is no
/// trusted proxy. What stands before it is the client's own claim.
pub(crate) fn client(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> SocketAddr {
    let mut client = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let claims: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .collect();
    for claim in claims.iter().rev() {
        if !is_trusted(trusted, client.ip()) {
            break;
        }
        let Some(address) = address(claim.trim()) else {
            break;
        };
        client = SocketAddr::new(address.to_canonical(), 0);
    }
    client
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

/// The URL by which the client reached the server: a public one that is set,
/// what a trusted proxy says, else the `Host` header.
///
/// # Errors
/// A 400 for a `Host` that is no host.
pub(crate) fn base_url(
    public: Option<&str>,
    peer: SocketAddr,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Result<String, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let host = match host.map(|host| host.to_str()) {
        // HTTP/1.0 knows no such header.
        None => "localhost",
        Some(Ok(host)) if more.is_none() && is_host(host) => host,
        Some(_) => return Err(Problem::bad_request("the Host header is not valid")),
    };
    if let Some(public) = public {
        return Ok(public.to_owned());
    }
    let mut parts = ("http", host);
    if is_trusted(trusted, peer.ip()) {
        // A proxy behind another adds its own at the end.
        let told = |name: &str| {
            let list = headers.get(name)?.to_str().ok()?;
            list.split(',').next().map(str::trim)
        };
        if told("x-forwarded-proto") == Some("https") {
            parts.0 = "https";
        }
        if let Some(host) = told("x-forwarded-host").filter(|host| is_host(host)) {
            parts.1 = host;
        }
    }
    Ok(format!("{}://{}", parts.0, parts.1))
}

fn is_host(text: &str) -> bool {
    let fits =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::HeaderMap;

    use kit::Network;

    use super::{base_url, client};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_address_is_believed_from_trusted_proxies_only() {
        let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, forwarded: &[&'static str]| {
            let pairs: Vec<_> = forwarded
                .iter()
                .map(|list| ("x-forwarded-for", *list))
                .collect();
            let peer: SocketAddr = format!("{peer}:1").parse().unwrap();
            client(peer, &headers(&pairs), &trusted).ip().to_string()
        };
        assert_eq!(of("9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        // The client claims 8.8.8.8; the proxy saw 1.1.1.1.
        assert_eq!(of("10.0.0.1", &["8.8.8.8, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1", &["8.8.8.8, 1.1.1.1, 10.0.0.2"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1", &["8.8.8.8", "1.1.1.1"]), "1.1.1.1");
        assert_eq!(of("10.0.0.1", &["8.8.8.8, rubbish"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["[2001:db8::1]:99"]), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &["1.1.1.1:80"]), "1.1.1.1");
    }

    #[test]
    fn the_url_is_the_one_that_the_client_used() {
        let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, public: Option<&str>, pairs: &[(&'static str, &'static str)]| {
            let peer: SocketAddr = format!("{peer}:1").parse().unwrap();
            base_url(public, peer, &headers(pairs), &trusted).map_err(|problem| problem.message)
        };
        let url = |text: &str| Ok(text.to_owned());
        let refused = Err("the Host header is not valid".to_owned());
        let forwarded = &[
            ("host", "a:80"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "b.example"),
        ];
        assert_eq!(of("9.9.9.9", None, &[("host", "a:80")]), url("http://a:80"));
        assert_eq!(of("9.9.9.9", None, forwarded), url("http://a:80"));
        assert_eq!(of("10.0.0.1", None, forwarded), url("https://b.example"));
        assert_eq!(
            of("10.0.0.1", Some("https://p"), forwarded),
            url("https://p")
        );
        assert_eq!(of("9.9.9.9", None, &[]), url("http://localhost"));
        assert_eq!(
            of("9.9.9.9", None, &[("host", "[::1]:9")]),
            url("http://[::1]:9")
        );
        for host in ["a\"b", "a/b", "a b", "", "user@host"] {
            assert_eq!(of("9.9.9.9", Some("https://p"), &[("host", host)]), refused);
        }
        assert_eq!(
            of("9.9.9.9", None, &[("host", "a"), ("host", "b")]),
            refused
        );
        let odd = &[
            ("host", "a"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "b/c"),
        ];
        assert_eq!(of("10.0.0.1", None, odd), url("http://a"));
    }
}
