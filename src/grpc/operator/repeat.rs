//! Writes that a caller can repeat for 24 hours (AIP-155). If a request has the request id of an
//! earlier one, the two are compared. If they are equal, the write is not done again, and the
//! answer is built from the current state of the resource that was written. If they differ, the
//! request is refused.

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::context::Context;
use crate::domain::Time;
use crate::error::Error;
use crate::grpc::Actions;
use crate::proto::operator::v1 as wire;
use crate::storage::{REQUEST_IDS_KEPT, RequestRecord};

/// Largest number of attempts of a write that collides with a simultaneous write of the same
/// request id.
const TRIES: u32 = 2;

/// A request with a field `request_id`.
pub(super) trait Repeatable: Message + Clone {
    /// Returns the field.
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

/// The part of the record of a write that is known before the write; the resource is added later.
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

/// Checks that the request id is empty or a UUID.
pub(super) fn request_id(id: &str) -> Result<(), Error> {
    if id.is_empty() { Ok(()) } else { parsed(id).map(drop) }
}

impl Ticket {
    /// Returns the ticket of a request; `None` if it has no request id.
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
        // Two spellings of one UUID must give the same fingerprint.
        *field = request_id.to_string();
        let mut fingerprint = Sha256::new();
        fingerprint.update(method);
        fingerprint.update([0]);
        fingerprint.update(request.encode_to_vec());
        Ok(Some(Self {
            caller: context.service_name()?.to_string(),
            request_id,
            fingerprint: fingerprint.finalize().to_vec(),
            recorded_at: context.wire_now,
        }))
    }

    /// Returns the record of a write about `resource`.
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
    /// Runs a write. If the request was answered before, `again` builds the answer from the name of
    /// the resource of that answer. `write` gets the ticket, and writes the record of the request
    /// in the statement of the write.
    ///
    /// The first request may still run when the caller repeats it, and its write may be the reason
    /// why the repetition is refused. The record of the first request is written in the statement
    /// of its write. So the record is read again after any error of the write.
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
            // The record cannot be read, and the first request may have caused the refusal.
            Err(unknown) if !error.is_our_fault() => Err(unknown),
            _ => Err(error),
        }
    }

    /// Returns the resource of the earlier answer to this request; `None` if there is none.
    async fn answered(&self, ticket: &Ticket) -> Result<Option<String>, Error> {
        let record = self.store.request_record(&ticket.caller, ticket.request_id).await?;
        let Some(record) = record else { return Ok(None) };
        if record.recorded_at + REQUEST_IDS_KEPT <= ticket.recorded_at {
            // A worker deletes expired records once a minute. The caller must not depend on it.
            self.store.forget_request(&record).await?;
            return Ok(None);
        }
        if record.fingerprint != ticket.fingerprint {
            return Err(Error::field("request_id", "was used with another request"));
        }
        Ok(Some(record.resource))
    }

    /// Records a request that had nothing to write, so that its repetition gets the same answer.
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
