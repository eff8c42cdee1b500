//! The notification after events were numbered, on a connection of its own. It is only a hint: a
//! process that does not receive it polls, and reads the same events.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;

use crate::error::Error;
use crate::storage::Store;
use crate::storage::engine::connect::CONNECT_TIMEOUT;
use crate::storage::engine::connections::limited;
use crate::storage::engine::failure;

/// A connection that has received nothing for this long is pinged.
const SILENT_UNTIL_ASKED: Duration = Duration::from_secs(15);

/// The channel of the notifications.
pub(in crate::storage) const CHANNEL: &str = "cdn_activation_events";
/// The name of the connection in the list of the sessions of the server.
const APPLICATION: &str = "cdn-activation events";

/// A connection that receives the notifications.
#[derive(Debug)]
pub struct EventListener(PgListener);

impl Store {
    /// Opens a connection outside the store, and listens on it. It connects to the host that
    /// accepted writes last, because a standby refuses LISTEN.
    pub async fn listen(&self) -> Result<EventListener, Error> {
        let options = self.connections.hosts().last().application_name(APPLICATION);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        limited(listening).await.map(EventListener).map_err(|error| failure::of_read(&error))
    }
}

impl EventListener {
    /// Waits for a notification. Returns false if the connection is lost, or does not answer.
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
