//! Which addresses are connected to: those of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use kit::Network;

use crate::AppRules;

/// Which addresses are connected to.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allowed: Vec<Network>,
    only: Option<Vec<HostPattern>>,
}

/// A host by name or address, or all names below one: `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Whether it means a host. Names are the same in upper and lower case, and
    /// with the dot of the root.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self.0.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == self.0,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) || name.starts_with('.') {
            return Err(format!("'{text}' is no host and no *.NAME"));
        }
        Ok(Self(text.trim_end_matches('.').to_ascii_lowercase()))
    }
}

impl Policy {
    /// Public addresses, and those of these networks.
    pub fn new(allowed: Vec<Network>) -> Self {
        Self {
            allowed,
            only: None,
        }
    }

    /// The same with more networks, and with these hosts only if there are any.
    #[must_use]
    pub fn for_app(&self, app: &AppRules) -> Self {
        let mut allowed = self.allowed.clone();
        allowed.extend(&app.allowed);
        let only = (!app.only.is_empty()).then(|| app.only.clone());
        Self { allowed, only }
    }

    /// Whether a host, as the one who asks wrote it, is turned to at all. Its
    /// addresses are another question.
    pub fn permits_host(&self, host: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|pattern| pattern.matches(host)))
    }

    /// Whether an address is connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.allows(address) {
            return true;
        }
        match address {
            IpAddr::V4(address) => is_public(address),
            // What a translator makes of an IPv4 address is that address.
            IpAddr::V6(address) => match translated(address) {
                Some(inner) => self.allows(inner.into()) || is_public(inner),
                None => is_public_v6(address),
            },
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(address))
    }
}

/// IANA's special-purpose addresses and multicast, and one that a cloud serves
/// its machines at though it looks public. The other metadata services are at
/// link-local, shared and private addresses.
fn is_public(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network; private; this machine; reserved, with broadcast.
        [0 | 10 | 127 | 240.., ..] => true,
        // Shared by a carrier's customers.
        [100, 64..=127, ..] => true,
        // Link-local.
        [169, 254, ..] => true,
        // Private.
        [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocols, documentation, anycast of relays.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Measurements.
        [198, 18 | 19, ..] => true,
        // Multicast.
        [224..=239, ..] => true,
        // Azure's host, of which each machine there asks its settings.
        [168, 63, 129, 16] => true,
        _ => false,
    };
    !special
}

/// The IPv4 address in one of the prefix that translators share (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return None;
    };
    let bits = u32::from(high) << 16 | u32::from(low);
    Some(bits.into())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let special = match address.segments() {
        // Protocols: tunnels of Teredo, measurements, identifiers.
        [0x2001, 0..=0x01ff, ..] => true,
        // Documentation.
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => true,
        // Tunnels of 6to4, whose other end an IPv4 address in them names.
        [0x2002, ..] => true,
        // All global addresses are in 2000::/3.
        [first, ..] => !(0x2000..0x4000).contains(&first),
    };
    !special
}
