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
            facts: from_fn(|_| Batcher::new("SELECT accounts", MOST_READ)),
            instances: from_fn(|_| Batcher::new("SELECT instances", MOST_READ)),
            access_keys: Batcher::new("SELECT access_keys", MOST_READ),
            nonces: from_fn(|_| Batcher::new("INSERT used_nonces", MOST_WRITTEN)),
            openings: Batcher::new("INSERT instances", MOST_WRITTEN),
        }
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Batches(…)")
    }
}
