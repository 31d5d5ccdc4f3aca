//! How clients reach an app: where it says that it is, and from which
//! addresses and web pages it may be called.

use std::net::{IpAddr, SocketAddr};

use config::Kind;
use kit::{Network, Problem};
use state::ANYWHERE;

use crate::App;

/// Where an app says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `GLOBAL` or `LOCAL`.
    pub deployment_model: String,
    /// A region's code, such as `US-VA`.
    pub location: String,
}

impl App {
    /// Where the app says that it is; the service's defaults unless it says.
    pub fn place(&self) -> Place {
        let release = self.release();
        let root = release.config.get(Kind::Root, "");
        let text = |name: &str, default: &str| match root.map_or("", |root| root.text(name)) {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        Place {
            deployment_model: text("deployment_model", "GLOBAL"),
            location: text("location", "US-VA"),
        }
    }

    /// Refuses a browser on a page whose origin the app does not list. An empty
    /// list is open to all, and clients that are no browsers send no origin.
    ///
    /// # Errors
    /// 403.
    pub fn check_origin(&self, origin: Option<&str>) -> Result<(), Problem> {
        let release = self.release();
        let listed = release
            .config
            .get(Kind::Root, "")
            .and_then(|root| root.at("/allowed_request_origins")?.as_array());
        let (Some(listed), Some(origin)) = (listed, origin) else {
            return Ok(());
        };
        let is_it = |allowed: &str| is_origin(allowed, origin);
        // The built-in pages are the server's.
        let own = self.core.mail.base_url();
        if own.is_some_and(|url| own_origin(&url).is_some_and(|own| own == origin)) {
            return Ok(());
        }
        if listed.is_empty() || listed.iter().any(|one| one.as_str().is_some_and(is_it)) {
            return Ok(());
        }
        Err(Problem::new(
            kit::Kind::Forbidden,
            "DomainNotAllowed",
            "requests from this origin are not allowed",
        ))
    }

    /// Refuses a client whose address is not on the app's access list. A client
    /// from outside of the private networks finds nothing where only private
    /// endpoints are served: here those networks are what a virtual private
    /// cloud was.
    ///
    /// # Errors
    /// 403, or `AppNotFound`.
    pub fn check_address(&self, peer: Option<SocketAddr>) -> Result<(), Problem> {
        let record = self.record();
        let allowed = |peer: SocketAddr| {
            let list = &record.settings.access_list;
            list.iter().any(|entry| holds(&entry.address, peer.ip()))
        };
        match peer {
            // A test's request, or one that comes from inside of the server.
            None => Ok(()),
            Some(peer) if !record.settings.allow_non_vpc && !is_private(peer.ip()) => {
                Err(crate::registry::app_not_found(&self.client_app_id))
            }
            Some(peer) if allowed(peer) => Ok(()),
            Some(_) => Err(Problem::new(
                kit::Kind::Forbidden,
                "RequestNotAllowed",
                "this IP address is not allowed to access the app",
            )),
        }
    }
}

/// Whether an entry of an access list has an address in it. That of a new app is
/// open to IPv6 as well.
pub(crate) fn holds(entry: &str, address: IpAddr) -> bool {
    entry == ANYWHERE
        || entry
            .parse()
            .is_ok_and(|network: Network| network.contains(address))
}

/// Whether an address is in a private network, or the machine's own.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// The origin of a URL, as browsers send it.
fn own_origin(url: &str) -> Option<String> {
    Some(url::Url::parse(url).ok()?.origin().ascii_serialization())
}

/// Whether an origin is an allowed one, which may have `*.` before its domain.
fn is_origin(allowed: &str, origin: &str) -> bool {
    let (allowed, origin) = (
        allowed.trim_end_matches('/').to_lowercase(),
        origin.to_lowercase(),
    );
    match allowed.split_once("://*.") {
        None => allowed == origin,
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| {
                rest.strip_prefix("://")?
                    .strip_suffix(domain)?
                    .strip_suffix('.')
            })
            .is_some_and(|labels| !labels.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::{holds, is_origin};

    #[test]
    fn origins() {
        for (allowed, origin, is_it) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example/", "https://A.example", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:81", false),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://a.b.example", true),
            ("https://*.example", "https://example", false),
            ("https://*.example", "https://evilexample", false),
            ("https://*.example", "http://a.example", false),
            ("https://*.example:81", "https://a.example:81", true),
        ] {
            assert_eq!(is_origin(allowed, origin), is_it, "{allowed} {origin}");
        }
    }

    #[test]
    fn addresses() {
        for (entry, address, inside) in [
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "::1", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(holds(entry, address), inside, "{entry} {address}");
        }
    }
}
