//! The account of a call: a random one, or the next that has not opened CDN.

/// The first account. All have eight digits, so that all requests have the same length.
pub const FIRST: u64 = 10_000_000;
/// Every third account has an access key. Locks and changes are at multiples of 10 and 20, which have
/// no divisor in common with 3: accounts with keys have as many of them as other accounts.
pub const KEY_EVERY: u64 = 3;
/// The number of keys that the signed requests use.
const ACTIVE_KEYS: u64 = 10_000;

/// Returns whether an account has an access key.
pub const fn has_key(account: u64) -> bool {
    (account - FIRST).is_multiple_of(KEY_EVERY)
}

/// Returns the id of the DCDN instance of an account. It is as long as a real one.
pub fn instance_id(account: u64) -> String {
    format!("FP-a{account}")
}

/// Returns the id of the access key of an account.
pub fn access_key_id(account: u64) -> String {
    format!("LTAIbench{account}")
}

/// The source of the accounts of calls.
pub enum Source<'a> {
    /// Any account of `count`, each `step` apart.
    Random { seed: u64, count: u64, step: u64 },
    /// The next of the walk, each `step` apart.
    Next { walk: &'a mut Walk, step: u64 },
}

impl Source<'_> {
    /// Returns a source of all accounts.
    pub fn any(accounts: u64, seed: u64) -> Self {
        Self::Random { seed: mixed(seed), count: accounts, step: 1 }
    }

    /// Returns a source of at most ten thousand accounts with keys, spread over all accounts.
    pub fn any_with_key(accounts: u64, seed: u64) -> Self {
        let keys = accounts / KEY_EVERY;
        let count = keys.min(ACTIVE_KEYS);
        Self::Random { seed: mixed(seed), count, step: keys / count * KEY_EVERY }
    }

    /// Returns the account of the next call, or `None` when all accounts have opened CDN.
    pub fn next(&mut self) -> Option<u64> {
        match self {
            Self::Random { seed, count, step } => {
                // xorshift64 is random enough to spread the calls over pages.
                *seed ^= *seed << 13;
                *seed ^= *seed >> 7;
                *seed ^= *seed << 17;
                Some(FIRST + (*seed >> 16) % *count * *step)
            }
            Self::Next { walk, step } => walk.take(*step),
        }
    }
}

/// Returns a state that is not zero and is far from that of the next seed.
fn mixed(seed: u64) -> u64 {
    (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// The accounts that have not opened CDN: from `next` to before `end`.
#[derive(Debug)]
pub struct Walk {
    next: u64,
    end: u64,
}

impl Walk {
    /// Returns a walk over all accounts.
    pub fn over(accounts: u64) -> Self {
        Self { next: FIRST, end: FIRST + accounts }
    }

    /// Returns the number of accounts that are left.
    pub fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Takes the next `count` accounts, or those that are left; returns the first of them.
    pub fn take_range(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next = (first + count).min(self.end);
        first
    }

    fn take(&mut self, step: u64) -> Option<u64> {
        let account = FIRST + (self.next - FIRST).next_multiple_of(step);
        if account >= self.end {
            return None;
        }
        self.next = account + 1;
        Some(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_accounts_of_the_data_once() {
        let mut random = Source::any_with_key(1_000_000, 1);
        for _ in 0..1000 {
            let account = random.next().expect("there is always one");
            assert!((FIRST..FIRST + 1_000_000).contains(&account) && has_key(account));
        }
        let mut walk = Walk::over(10);
        assert_eq!(walk.take(1), Some(FIRST));
        assert_eq!(walk.take(4), Some(FIRST + 4));
        assert_eq!((walk.take_range(2), walk.left()), (FIRST + 5, 3));
        assert_eq!((walk.take(4), walk.take(4)), (Some(FIRST + 8), None));
    }
}
