//! Connections that go straight from one statement of a hot path to the next. The pool asks each
//! connection that it gets back whether it still lives, which is a round trip for every statement,
//! and hands them out in turn, so that none stays in a cache. A statement that has just been answered
//! is proof enough: its connection is kept here. Whatever else happens to one, it goes back to the
//! pool, which finds out.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use super::connect::IDLE_UNTIL_ASKED;

/// After this long a connection goes back to the pool, which replaces old ones.
const LONGEST_KEPT: Duration = Duration::from_mins(5);

/// The connections of a store that are kept. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pool: PgPool,
    idle: Arc<Mutex<Vec<Idle>>>,
    /// All but one: who asks the pool gets one, too.
    most: usize,
}

#[derive(Debug)]
struct Idle {
    connection: PoolConnection<Postgres>,
    taken_at: Instant,
    unused_since: Instant,
}

/// A connection in use. Dropped, it goes back to the pool.
pub(super) struct Warm {
    connection: PoolConnection<Postgres>,
    taken_at: Instant,
    kept: Kept,
}

impl Kept {
    pub fn new(pool: PgPool) -> Self {
        let all = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        Self { pool, idle: Arc::default(), most: all.saturating_sub(1) }
    }

    /// The connection that was used last, or one of the pool.
    pub async fn take(&self) -> Result<Warm, sqlx::Error> {
        let last = self.idle().pop().filter(|idle| idle.unused_since.elapsed() < IDLE_UNTIL_ASKED);
        let (connection, taken_at) = match last {
            Some(idle) => (idle.connection, idle.taken_at),
            // Boxed: every future that takes a connection would have room for this rare one.
            None => (Box::pin(self.pool.acquire()).await?, Instant::now()),
        };
        Ok(Warm { connection, taken_at, kept: self.clone() })
    }

    /// How many are kept, unused.
    pub fn count(&self) -> usize {
        self.idle().len()
    }

    /// Gives all back to the pool.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Warm {
    /// Keeps it for the next statement: the last one was answered.
    pub fn keep(self) {
        let Self { connection, taken_at, kept } = self;
        let mut idle = kept.idle();
        let is_wanted = idle.len() < kept.most && taken_at.elapsed() < LONGEST_KEPT;
        if is_wanted && !kept.pool.is_closed() {
            idle.push(Idle { connection, taken_at, unused_since: Instant::now() });
        }
    }
}

impl Deref for Warm {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Warm {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
