//! What is asked in batches: what every request on a hot path needs, each kind in a queue of its
//! own. How a batch comes about is said in `batch.rs`, what its statement is in the file of its
//! table.

use std::array::from_fn;

use uuid::Uuid;

use super::batch::Batcher;
use super::nonces::Replays;
use super::{Opening, StoredAccessKey};
use crate::domain::{AccountId, Facts, Instance};

/// The most accounts, or keys, that one statement reads. Beyond that it costs no less for each, and
/// rows that come from the disk come one after the other.
const MOST_READ: usize = 64;
/// The most rows that one statement writes: they share a commit.
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
    /// What became of them lately.
    pub replays: Replays,
    pub openings: Batcher<Opening, bool>,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            facts: from_fn(|_| Batcher::reading(MOST_READ)),
            instances: from_fn(|_| Batcher::reading(MOST_READ)),
            access_keys: Batcher::reading(MOST_READ),
            nonces: from_fn(|_| Batcher::writing(MOST_WRITTEN)),
            replays: Replays::default(),
            openings: Batcher::writing(MOST_WRITTEN),
        }
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Batches(…)")
    }
}
