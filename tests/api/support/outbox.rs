//! The events that were written, read from the database as a worker reads them.

use cdn_activation::domain::Time;
use cdn_activation::proto::events::v1::EventData;
use cdn_activation::proto::events::v1::event_data::Data;
use prost::Message;
use sqlx::Connection;

use super::database::Database;

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its lane.
    pub lane: i16,
    /// When it happened, according to the service.
    pub time: Time,
    /// The name of its type.
    pub type_name: String,
    /// Its payload.
    pub data: Data,
}

impl Database {
    /// Returns the events of an account in the order in which they were created. Their ids are
    /// ordered by real time, for any clock of the service.
    pub async fn events_of(&self, account_id: i64) -> Vec<StoredEvent> {
        let mut connection = self.connect().await;
        let rows = sqlx::query_as::<_, (i16, Time, String, Vec<u8>)>(
            "SELECT lane, event_time, type, data FROM all_events WHERE account_id = $1
             ORDER BY event_id",
        );
        let rows = rows.bind(account_id).fetch_all(&mut connection).await.expect("reads");
        connection.close().await.expect("closed");
        let events = rows.into_iter().map(|(lane, time, type_name, data)| {
            let data = EventData::decode(&*data).expect("an EventData").data.expect("of a type");
            StoredEvent { lane, time, type_name, data }
        });
        events.collect()
    }
}
