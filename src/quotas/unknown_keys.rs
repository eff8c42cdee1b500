//! Limits the look-ups of access keys that do not exist, by source address. Anyone who reaches the
//! listener can cause such a look-up, without any secret.
//!
//! Clients behind one address share its limit. So that a flood from there does not lock out a valid
//! key that this process has not found yet, some look-ups beyond the limit of an address are made
//! all the same, and all addresses share them. They are counted before they are made, so the flood
//! costs no more than them, also while the database is slow.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use super::bucket::{Bucket, Limit};

/// Look-ups of unknown keys that an address may cause.
const LIMIT: Limit = Limit {
    per_second: NonZeroU32::new(10).expect("it is not zero"),
    burst: NonZeroU32::new(100).expect("it is not zero"),
};
/// Look-ups beyond the limits of their addresses, for all addresses together.
const SPARE: Limit = Limit {
    per_second: NonZeroU32::new(100).expect("it is not zero"),
    burst: NonZeroU32::new(100).expect("it is not zero"),
};
/// Longest time that a client is told to wait. A spare look-up may be left long before its address
/// has paid for all that it has caused.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Largest number of addresses that are kept. If it is reached, the address that was not used for
/// the longest time is dropped.
const MOST_ADDRESSES: usize = 16_384;
/// Number of places for known keys.
const PLACES: usize = 16_384;

/// The addresses that have sent unknown keys, and the keys that are known to exist.
pub struct UnknownKeys {
    addresses: Mutex<LruCache<IpAddr, Bucket>>,
    spare: Mutex<Bucket>,
    /// Hashes of keys that have been found. A hash has one place, in which it may replace another.
    known: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for UnknownKeys {
    fn default() -> Self {
        let known = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        let addresses = Mutex::new(LruCache::new(MOST_ADDRESSES));
        let spare = Mutex::new(Bucket::new(SPARE, Instant::now()));
        Self { addresses, spare, known, hasher: RandomState::new() }
    }
}

impl UnknownKeys {
    /// Returns whether a key may be looked up or, as the error, how long the address has to wait.
    /// A key that was found before may always be looked up.
    pub fn look(&self, address: IpAddr, key: &str, now: Instant) -> Result<(), Duration> {
        let within_limit = match self.addresses().get_mut(&network(address)) {
            Some(bucket) => bucket.look(LIMIT, now),
            None => Ok(()),
        };
        within_limit.or_else(|wait| {
            let is_free = self.is_known(key) || self.take_spare(now);
            if is_free { Ok(()) } else { Err(wait.min(LONGEST_WAIT)) }
        })
    }

    /// Records whether a key was found.
    pub fn found(&self, address: IpAddr, key: &str, is_found: bool, now: Instant) {
        let (place, hash) = self.place(key);
        if is_found {
            if place.load(Relaxed) != hash {
                place.store(hash, Relaxed);
            }
            return;
        }
        place.compare_exchange(hash, 0, Relaxed, Relaxed).ok();
        let address = network(address);
        let mut addresses = self.addresses();
        if let Some(bucket) = addresses.get_mut(&address) {
            bucket.charge(LIMIT, now);
            return;
        }
        let mut bucket = Bucket::new(LIMIT, now);
        bucket.charge(LIMIT, now);
        addresses.insert(address, bucket);
    }

    /// Takes one of the look-ups beyond the limits of their addresses, if one is left.
    fn take_spare(&self, now: Instant) -> bool {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.take(SPARE, now).is_ok()
    }

    fn is_known(&self, key: &str) -> bool {
        let (place, hash) = self.place(key);
        place.load(Relaxed) == hash
    }

    fn place(&self, key: &str) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(key) | 1; // 0 is an empty place
        let index = (hash >> 16) as usize % PLACES;
        (&self.known[index], hash)
    }

    fn addresses(&self) -> MutexGuard<'_, LruCache<IpAddr, Bucket>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the address that is limited: an IPv4 address, or the first 64 bits of an IPv6 address,
/// which one customer of a network has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl std::fmt::Debug for UnknownKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UnknownKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Returns how long an address has to wait without the spare look-ups.
    fn waits(keys: &UnknownKeys, address: IpAddr, now: Instant) -> Result<(), Duration> {
        keys.addresses().get_mut(&address).unwrap().look(LIMIT, now)
    }

    /// Uses up the spare look-ups.
    fn use_up_spare(keys: &UnknownKeys, now: Instant) {
        while keys.take_spare(now) {}
    }

    #[test]
    fn an_address_may_cause_a_hundred_look_ups_and_then_ten_a_second() {
        let (keys, start) = (UnknownKeys::default(), Instant::now());
        let (address, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        use_up_spare(&keys, start);
        for number in 0..100 {
            let key = format!("LTAI{number}");
            keys.look(address, &key, start).unwrap();
            keys.found(address, &key, false, start);
        }
        assert_eq!(keys.look(address, "LTAI", start), Err(Duration::from_millis(100)));
        keys.look(other, "LTAI", start).unwrap();
        let later = start + Duration::from_millis(100);
        use_up_spare(&keys, later);
        keys.look(address, "LTAI", later).unwrap();
        keys.found(address, "LTAI", false, later);
        assert!(keys.look(address, "LTAI", later).is_err());
    }

    #[test]
    fn look_ups_that_run_at_the_same_time_are_charged_later() {
        let (keys, start) = (UnknownKeys::default(), Instant::now());
        let address = ip("192.0.2.1");
        for _ in 0..150 {
            keys.look(address, "LTAI", start).unwrap();
        }
        for _ in 0..150 {
            keys.found(address, "LTAI", false, start);
        }
        assert_eq!(waits(&keys, address, start), Err(Duration::from_millis(5100)));
        use_up_spare(&keys, start);
        assert_eq!(keys.look(address, "LTAI", start), Err(LONGEST_WAIT));
    }

    #[test]
    fn all_addresses_beyond_their_limits_share_a_hundred_look_ups_a_second() {
        let (keys, start) = (UnknownKeys::default(), Instant::now());
        let addresses = [ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8::")];
        for address in addresses {
            for _ in 0..100 {
                keys.look(address, "LTAI", start).unwrap();
                keys.found(address, "LTAI", false, start);
            }
        }
        // None is charged before the look-ups end: those that begin at the same time are bounded.
        let look_ups = |now| {
            let round = |_| addresses.map(|address| keys.look(address, "LTAI", now).is_ok());
            (0..1000).flat_map(round).filter(|is_admitted| *is_admitted).count()
        };
        assert_eq!(look_ups(start), 100);
        for address in addresses {
            (0..200).for_each(|_| keys.found(address, "LTAI", false, start));
        }
        assert_eq!(look_ups(start + Duration::from_millis(500)), 50);
    }

    #[test]
    fn a_key_that_was_found_is_looked_up_until_it_is_not_found() {
        let (keys, start) = (UnknownKeys::default(), Instant::now());
        let address = ip("192.0.2.1");
        use_up_spare(&keys, start);
        keys.found(ip("192.0.2.7"), "LTAIhonest", true, start);
        for _ in 0..100 {
            keys.found(address, "LTAI", false, start);
        }
        keys.look(address, "LTAIhonest", start).unwrap();
        keys.found(address, "LTAIhonest", false, start);
        assert!(keys.look(address, "LTAIhonest", start).is_err());
    }

    #[test]
    fn an_address_of_ipv6_is_limited_with_its_network() {
        let keys = UnknownKeys::default();
        let start = Instant::now();
        use_up_spare(&keys, start);
        for number in 0..100 {
            keys.found(ip(&format!("2001:db8::{number:x}")), "LTAI", false, start);
        }
        assert!(keys.look(ip("2001:db8::ffff"), "LTAI", start).is_err());
        keys.look(ip("2001:db8:0:1::"), "LTAI", start).unwrap();
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let (keys, start) = (UnknownKeys::default(), Instant::now());
        for number in 0..20_000_u32 {
            keys.found(IpAddr::from(number.to_be_bytes()), "LTAI", false, start);
        }
        assert_eq!(keys.addresses().len(), MOST_ADDRESSES);
    }
}
