//! Which addresses are connected to: those of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kit::Network;

/// Which addresses are connected to.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allowed: Vec<Network>,
}

impl Policy {
    /// Public addresses, and those of these networks.
    pub fn new(allowed: Vec<Network>) -> Self {
        Self { allowed }
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
