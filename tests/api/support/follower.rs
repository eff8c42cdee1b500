//! A follower that keeps its cursor as a service would, and remembers which events it has seen.

use std::collections::BTreeSet;
use std::time::Duration;

use cdn_activation::proto::operator::v1::ListEventsRequest;
use tonic::Code;

use super::Api;
use super::database::Database;
use super::grpc::refusal;

/// A follower of all accounts.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// The ids of the events that it has seen.
    pub seen: BTreeSet<String>,
    /// How often its cursor had expired.
    pub expired: u32,
    /// The cursor of the last page.
    pub cursor: String,
}

impl Follower {
    /// Reads pages until one is empty. If the cursor has expired, it starts over, as callers are told
    /// to.
    pub async fn read(&mut self, api: &Api) {
        let mut events = api.events().await;
        loop {
            let cursor = self.cursor.clone();
            let request = ListEventsRequest { cursor, page_size: 1000, account_id: 0 };
            let page = match events.list_events(request).await {
                Ok(page) => page.into_inner(),
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(status) => {
                    assert_eq!(refusal(&status).code, "CursorExpired", "{status:?}");
                    self.cursor.clear();
                    self.expired += 1;
                    continue;
                }
            };
            self.cursor = page.next_cursor;
            if page.events.is_empty() {
                return;
            }
            self.seen.extend(page.events.into_iter().map(|event| event.id));
        }
    }

    /// Reads all events of a log that does not grow any more, and checks that none was skipped. A page
    /// may be empty although newer events are in the log, if the service has not noticed them yet.
    pub async fn read_to_the_end(&mut self, api: &Api, database: &Database) {
        let logged = logged(database).await;
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            self.read(api).await;
            let skipped: Vec<_> = logged.difference(&self.seen).collect();
            if skipped.is_empty() {
                return;
            }
            let is_late = tokio::time::Instant::now() >= until;
            assert!(!is_late, "{} events were skipped: {skipped:?}", skipped.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Waits until every event is in the log, and returns the ids.
async fn logged(database: &Database) -> BTreeSet<String> {
    super::eventually("every event is numbered", async || {
        database.count("SELECT count(*) FROM event_outbox").await == 0
    })
    .await;
    let mut connection = database.connect().await;
    let ids = sqlx::query_scalar::<_, String>("SELECT event_id::text FROM event_log");
    ids.fetch_all(&mut connection).await.expect("reads").into_iter().collect()
}
