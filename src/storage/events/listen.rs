//! The wake-up call after events were numbered, on a connection of its own. It is a hint: whoever
//! hears nothing polls, and reads the same.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;

use crate::error::Error;
use crate::storage::Store;
use crate::storage::engine::connect::ACQUIRE_TIMEOUT;
use crate::storage::engine::connections::limited;
use crate::storage::engine::failure;

/// A connection on which nothing was heard for so long is asked whether it lives.
const SILENT_UNTIL_ASKED: Duration = Duration::from_secs(15);

/// The channel on which numbering calls.
pub(in crate::storage) const CHANNEL: &str = "cdn_activation_events";
/// The name of the connection, for whoever looks at the server's.
const APPLICATION: &str = "cdn-activation events";

/// A connection that hears when events were numbered.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Store {
    /// Listens on a connection beside those of the store, at the host that took writes last: a standby
    /// refuses to.
    pub async fn listen(&self) -> Result<Listener, Error> {
        let options = self.connections.hosts().last().clone().application_name(APPLICATION);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        limited(listening).await.map(Listener).map_err(|error| failure::of_read(&error))
    }
}

impl Listener {
    /// Waits for a call; false when the connection is gone, or silent.
    pub async fn called(&mut self) -> bool {
        loop {
            match timeout(SILENT_UNTIL_ASKED, self.0.try_recv()).await {
                Ok(heard) => return matches!(heard, Ok(Some(_))),
                Err(_) if limited(sqlx::query("SELECT 1").execute(&mut self.0)).await.is_err() => {
                    return false;
                }
                Err(_) => {}
            }
        }
    }
}
