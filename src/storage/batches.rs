//! The queues of questions that are answered in batches, one for each kind. `engine/batch/`
//! describes how a batch is made. The statement is in the file of its table.

use std::array::from_fn;

use uuid::Uuid;

use super::engine::batch::Batcher;
use super::{Opening, StoredAccessKey};
use crate::domain::{AccountId, Facts, Instance};

/// Largest number of accounts, or keys, that one statement reads. A larger number does not lower
/// the cost of each, and rows that come from the disk are read one after the other.
const MOST_READ: usize = 64;
/// Largest number of rows that one statement writes. They share a commit.
const MOST_WRITTEN: usize = 128;

/// The queues of a store.
pub(super) struct Batches {
    /// By product.
    pub facts: [Batcher<AccountId, Option<Facts>>; 2],
    /// By product.
    pub instances: [Batcher<AccountId, Option<Instance>>; 2],
    pub access_keys: Batcher<String, Option<StoredAccessKey>>,
    /// Digests, by slot of the ring.
    pub nonces: [Batcher<Uuid, bool>; 4],
    pub openings: Batcher<Opening, bool>,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            facts: from_fn(|_| Batcher::new("facts", ["SELECT", "accounts"], MOST_READ)),
            instances: from_fn(|_| Batcher::new("instances", ["SELECT", "instances"], MOST_READ)),
            access_keys: Batcher::new("access_keys", ["SELECT", "access_keys"], MOST_READ),
            nonces: from_fn(|_| Batcher::new("nonces", ["INSERT", "used_nonces"], MOST_WRITTEN)),
            openings: Batcher::new("openings", ["INSERT", "instances"], MOST_WRITTEN),
        }
    }
}

impl Batches {
    /// Returns how many questions wait in each queue, with its name.
    pub fn waiting(&self) -> Vec<(&'static str, u64)> {
        let Self { facts, instances, access_keys, nonces, openings } = self;
        let facts = facts.iter().map(Batcher::waiting);
        let instances = instances.iter().map(Batcher::waiting);
        let nonces = nonces.iter().map(Batcher::waiting);
        let all = facts.chain(instances).chain(nonces);
        let all = all.chain([access_keys.waiting(), openings.waiting()]);
        all.map(|(name, count)| (name, u64::try_from(count).unwrap_or(u64::MAX))).collect()
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Batches(…)")
    }
}
