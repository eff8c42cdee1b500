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
use crate::proto::operator::v1 as wire;
use crate::storage::RequestRecord;

/// How long a request id holds.
pub(crate) const KEPT: Duration = Duration::hours(24);
/// How often a write is tried whose twin, sent at the same time with the same request id, comes in
/// its way.
const TRIES: u32 = 2;

/// A request with the field `request_id`.
pub(super) trait Repeatable: Message + Clone {
    /// The field.
    fn request_id(&mut self) -> &mut String;
}

macro_rules! repeatable {
    ($($request:ident),* $(,)?) => {
        $(impl Repeatable for wire::$request {
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
        })*
    };
}
repeatable!(
    CreateAccountRequest,
    UpdateAccountRequest,
    CreateAccessKeyRequest,
    DisableAccessKeyRequest,
    EnableAccessKeyRequest,
    DeleteAccessKeyRequest,
    LockRequest,
    UnlockRequest,
    ScheduleChargeTypeChangeRequest,
    CancelChargeTypeChangeRequest,
);

/// Becomes the record of a write once it is known what it is about.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    caller: String,
    request_id: Uuid,
    fingerprint: Vec<u8>,
    recorded_at: Time,
}

fn parsed(request_id: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(request_id).map_err(|_| Error::field("request_id", "is not a UUID"))
}

/// Whether the id of a request is none or a UUID.
pub(super) fn request_id(id: &str) -> Result<(), Error> {
    if id.is_empty() { Ok(()) } else { parsed(id).map(drop) }
}

impl Ticket {
    /// The ticket of a request; none where it has no id.
    fn of(
        context: &Context,
        method: &str,
        request: &impl Repeatable,
    ) -> Result<Option<Self>, Error> {
        let mut request = request.clone();
        let field = request.request_id();
        if field.is_empty() {
            return Ok(None);
        }
        let request_id = parsed(field)?;
        // However the id is spelled, the request is the same.
        *field = request_id.to_string();
        let mut fingerprint = Sha256::new();
        fingerprint.update(method);
        fingerprint.update([0]);
        fingerprint.update(request.encode_to_vec());
        Ok(Some(Self {
            caller: context.service_name()?.to_owned(),
            request_id,
            fingerprint: fingerprint.finalize().to_vec(),
            recorded_at: context.wire_now,
        }))
    }

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
    /// Runs a write, or answers it `again` where this request was answered before: with what that
    /// answer was about. `write` gets the ticket for the write's own statement.
    ///
    /// The first try of a request may still be under way when it is sent again, and what it has
    /// written by then may be the very reason why the second is refused. Its record was written
    /// together with that: after any error of the write the record is looked up once more.
    pub(super) async fn repeatable<T, W, A>(
        &self,
        context: &Context,
        method: &str,
        request: &impl Repeatable,
        write: impl Fn(Option<Ticket>) -> W,
        again: impl Fn(String) -> A,
    ) -> Result<T, Error>
    where
        W: Future<Output = Result<T, Error>>,
        A: Future<Output = Result<T, Error>>,
    {
        let Some(ticket) = Ticket::of(context, method, request)? else { return write(None).await };
        let mut outcome = Err(Error::Contended);
        for _ in 0..TRIES {
            if let Some(resource) = self.answered(&ticket).await? {
                return again(resource).await;
            }
            outcome = write(Some(ticket.clone())).await;
            if !matches!(outcome, Err(Error::Contended)) {
                break;
            }
        }
        let Err(error) = outcome else { return outcome };
        match self.answered(&ticket).await {
            Ok(Some(resource)) => again(resource).await,
            // The first try may be the very reason of a refusal.
            Err(unknown) if !error.is_our_fault() => Err(unknown),
            _ => Err(error),
        }
    }

    /// What the answer to this request was about; `None` where there was none.
    async fn answered(&self, ticket: &Ticket) -> Result<Option<String>, Error> {
        let record = self.store.request_record(&ticket.caller, ticket.request_id).await?;
        let Some(record) = record else { return Ok(None) };
        if record.recorded_at + KEPT <= ticket.recorded_at {
            // The worker that forgets comes by once a minute; nobody should have to wait for it.
            self.store.forget_request(&record).await?;
            return Ok(None);
        }
        if record.fingerprint != ticket.fingerprint {
            return Err(Error::field("request_id", "was used with another request"));
        }
        Ok(Some(record.resource))
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
