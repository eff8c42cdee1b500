//! `new-generation`: begins a generation of the event log, so that every follower that has seen an
//! event starts over. The service begins generations itself when PostgreSQL was started, promoted or
//! restored. The command is for a log that was set back in another way.

use anyhow::bail;

use super::database::OpenedDatabase;
use super::{explained, print};
use crate::clock::Clock;
use crate::config::NewGenerationSettings;
use crate::ids::new_id;
use crate::storage::{Store, StoreOptions};

/// Connections to the database.
const CONNECTIONS: u32 = 2;

/// Runs the command.
pub async fn run(settings: NewGenerationSettings) -> anyhow::Result<()> {
    let database = OpenedDatabase::open(settings.database.source())?.url;
    let store = Store::connect_lazily(&StoreOptions::new(database, CONNECTIONS));
    let now = Clock::system().wire_now();
    let begun = store.begin_generation_for_all(new_id(), now).await;
    store.close().await;
    let Some(begun) = begun.map_err(explained)? else {
        bail!("another process has begun a generation at the same time: run the command again");
    };
    let earlier = begun.earlier_id.map(|id| format!(", after generation {id}")).unwrap_or_default();
    print(format_args!(
        "generation {} of the event log began{earlier}; followers of earlier generations get \
         CursorExpired",
        begun.generation_id
    ))
}
