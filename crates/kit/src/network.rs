//! Networks: addresses that share a prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that share a prefix: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// The address that it is written with.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The same network, written with its first address.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let kept = |of: u32, bits: u32| of - bits.min(of);
        let address = match self.address {
            IpAddr::V4(address) => {
                let below = kept(32, self.bits);
                let mask = u32::MAX.checked_shl(below).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let below = kept(128, self.bits);
                let mask = u128::MAX.checked_shl(below).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        };
        Self { address, ..self }
    }

    /// Whether an address is one of them. An IPv4 address in IPv6 form is the
    /// IPv4 address.
    pub fn contains(self, address: IpAddr) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            let mut bits = self.bits;
            a.iter().zip(b).all(|(a, b)| {
                let of_byte = bits.min(8);
                bits -= of_byte;
                // Shifting by all eight bits leaves nothing to compare.
                u32::from(a ^ b) >> (8 - of_byte) == 0
            })
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(&a.octets(), &b.octets()),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(&a.octets(), &b.octets()),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no address or network such as 10.0.0.0/8");
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => most,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Network;

    #[test]
    fn networks() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse::<IpAddr>().unwrap())
        };
        for (written, first) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("2001:db8:1:2::3/48", "2001:db8:1::/48"),
            ("::1/0", "::/0"),
            ("::1", "::1/128"),
        ] {
            let network: Network = written.parse().unwrap();
            assert_eq!(network.trimmed().to_string(), first, "{written}");
        }
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.168.4.0/22", "192.168.7.255"));
        assert!(!holds("192.168.4.0/22", "192.168.8.0"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::1", "::1"));
        assert!(!holds("::1", "::2"));
        assert!(holds("fd00::/8", "fdff::1"));
        for wrong in ["", "10.0.0.0/33", "x", "10.0.0.0/", "10.0.0.0/-1", "::/129"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
