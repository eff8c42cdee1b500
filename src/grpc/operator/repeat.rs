//! Writes that may be sent again for 24 hours (AIP-155): the same request id with the same request
//! gets the first answer again, made anew of what it was about; with another request it is refused.

use chrono::Duration;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::context::Context;
use crate::domain::Time;
use crate::error::Error;
use crate::grpc::Actions;
use crate::storage::RequestRecord;

/// How long a request id holds.
pub(crate) const KEPT: Duration = Duration::hours(24);

/// What a request with an id is.
pub(super) enum Repeat {
    /// A new one; the ticket goes into the write's own statement. None where the request has no id.
    New(Option<Ticket>),
    /// One that was answered; what the answer was about.
    Answered(String),
}

/// Becomes the record of a write once it is known what it is about.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    caller: String,
    request_id: Uuid,
    fingerprint: Vec<u8>,
    recorded_at: Time,
}

impl Ticket {
    /// The record of a write about `resource`.
    pub fn about(&self, resource: &str) -> RequestRecord {
        RequestRecord {
            caller: self.caller.clone(),
            request_id: self.request_id,
            fingerprint: self.fingerprint.clone(),
            resource: resource.to_owned(),
            recorded_at: self.recorded_at,
        }
    }
}

impl Actions {
    /// Looks a request id up. `request` is the whole message, the id included.
    pub(super) async fn repeat(
        &self,
        context: &Context,
        method: &str,
        request_id: &str,
        request: &impl Message,
    ) -> Result<Repeat, Error> {
        if request_id.is_empty() {
            return Ok(Repeat::New(None));
        }
        let request_id =
            Uuid::try_parse(request_id).map_err(|_| Error::field("request_id", "is not a UUID"))?;
        let mut fingerprint = Sha256::new();
        fingerprint.update(method);
        fingerprint.update([0]);
        fingerprint.update(request.encode_to_vec());
        let ticket = Ticket {
            caller: context.service_name()?.to_owned(),
            request_id,
            fingerprint: fingerprint.finalize().to_vec(),
            recorded_at: context.wire_now,
        };
        let Some(record) = self.store.request_record(&ticket.caller, request_id).await? else {
            return Ok(Repeat::New(Some(ticket)));
        };
        let expires = record.recorded_at + KEPT;
        if expires <= context.wire_now {
            // The worker that forgets comes by once a minute; nobody should have to wait for it.
            self.store.forget_request(&record).await?;
            return Ok(Repeat::New(Some(ticket)));
        }
        if record.fingerprint != ticket.fingerprint {
            return Err(Error::field("request_id", "was used with another request"));
        }
        Ok(Repeat::Answered(record.resource))
    }

    /// Records a request that had nothing to write: sent again it must find what it found the first
    /// time.
    pub(super) async fn record_unwritten(
        &self,
        ticket: Option<&Ticket>,
        resource: &str,
    ) -> Result<(), Error> {
        let Some(ticket) = ticket else { return Ok(()) };
        if self.store.record_request(ticket.about(resource)).await? {
            Ok(())
        } else {
            Err(Error::Contended)
        }
    }
}

/// Runs a write once more where its twin, sent at the same time with the same request id, was
/// faster: its answer is there then.
pub(super) async fn with_twin<T, F>(write: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    match write().await {
        Err(Error::Contended) => write().await,
        outcome => outcome,
    }
}
