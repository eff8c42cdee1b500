//! Events, written in the statement that makes the change. This is their row.

use uuid::Uuid;

use crate::domain::event::{self, Event, Stamp};
use crate::domain::{AccountId, Time};
use crate::proto;

/// A row of `event_outbox`, but for the account.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    pub event_id: Uuid,
    pub lane: i16,
    pub time: Time,
    pub type_name: &'static str,
    pub data: Vec<u8>,
}

impl EventRow {
    pub fn new(account_id: AccountId, stamp: Stamp, event: &Event) -> Self {
        Self {
            event_id: stamp.event_id,
            lane: event::lane(account_id),
            time: stamp.time,
            type_name: event.type_name(),
            data: proto::event::encode(event),
        }
    }
}
