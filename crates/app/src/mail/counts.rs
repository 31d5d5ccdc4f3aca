//! How many mails each address asked for in the last hour.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use kit::limit::MAILS_BY_ADDRESS_PER_HOUR_MAX;

use super::HOUR_MS;

/// Addresses that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// Since when, and how many, by address.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<Option<IpAddr>, (i64, u32)>>);

impl Counts {
    /// Counts one more; in how many milliseconds there may be, if not now.
    pub(super) fn take(&self, address: &str, now: i64) -> Result<(), i64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = network(address);
        if all.len() >= REMEMBERED_MAX && !all.contains_key(&key) {
            all.retain(|_, (since, _)| (0..HOUR_MS).contains(&(now - *since)));
            if all.len() >= REMEMBERED_MAX {
                all.clear();
            }
        }
        let (since, mails) = all.entry(key).or_insert((now, 0));
        if !(0..HOUR_MS).contains(&(now - *since)) {
            (*since, *mails) = (now, 0);
        }
        if *mails >= MAILS_BY_ADDRESS_PER_HOUR_MAX {
            return Err(*since + HOUR_MS - now);
        }
        *mails += 1;
        Ok(())
    }
}

/// What stands for whoever has an address: of IPv6, a household has a network.
fn network(address: &str) -> Option<IpAddr> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            Some(Ipv6Addr::from(bits).into())
        }
        address @ IpAddr::V4(_) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, HOUR_MS, MAILS_BY_ADDRESS_PER_HOUR_MAX, REMEMBERED_MAX};

    #[test]
    fn each_address_has_its_hour() {
        let counts = Counts::default();
        for n in 0..MAILS_BY_ADDRESS_PER_HOUR_MAX {
            let one_of_many = format!("2001:db8::{n:x}");
            assert_eq!(counts.take("10.0.0.1", 0), Ok(()));
            assert_eq!(counts.take(&one_of_many, 0), Ok(()));
        }
        assert_eq!(counts.take("10.0.0.1", HOUR_MS - 1), Err(1));
        assert_eq!(counts.take("::ffff:10.0.0.1", 0), Err(HOUR_MS));
        assert_eq!(counts.take("2001:db8::ffff:1", 0), Err(HOUR_MS));
        assert_eq!(counts.take("10.0.0.2", 0), Ok(()));
        assert_eq!(counts.take("2001:db8:0:1::", 0), Ok(()));
        assert_eq!(counts.take("10.0.0.1", HOUR_MS), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let counts = Counts::default();
        for n in 0..REMEMBERED_MAX + 10 {
            let n = u32::try_from(n).unwrap();
            let address = std::net::Ipv4Addr::from(n).to_string();
            counts.take(&address, 0).unwrap();
        }
        assert!(counts.0.lock().unwrap().len() <= REMEMBERED_MAX);
    }
}
