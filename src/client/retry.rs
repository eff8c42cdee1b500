//! One call: its attempts, within one deadline.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use super::ActivationClient;
use super::endpoints::Picked;
use super::failure::{CallError, has_timed_out, is_local, was_not_sent};
use super::requests::{Repeat, UnaryRequest};
use crate::domain::AccountId;
use crate::ids::new_id;

/// Largest number of attempts of a call.
const ATTEMPTS: u32 = 5;
/// The longest pause before the second attempt. It doubles from attempt to attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl ActivationClient {
    /// Makes a call: attempts until one is answered, or may not be repeated, or the deadline is
    /// near.
    pub(super) async fn unary<R: UnaryRequest>(
        &self,
        account_id: Option<AccountId>,
        mut message: R,
    ) -> Result<R::Reply, CallError> {
        if let Some(id) = message.request_id_mut().filter(|id| id.is_empty()) {
            *id = new_id().to_string();
        }
        let until = Instant::now() + self.0.settings.deadline;
        let mut attempts = 1;
        loop {
            let status = match self.attempt(account_id, &message, until).await {
                Ok(reply) => return Ok(reply),
                Err(status) => status,
            };
            let pause = pause(attempts);
            let late = Instant::now() + pause >= until;
            if attempts == ATTEMPTS || late || !may_be_repeated(&status, R::REPEAT) {
                return Err(CallError::new(status, attempts));
            }
            sleep(pause).await;
            attempts += 1;
        }
    }

    async fn attempt<R: UnaryRequest>(
        &self,
        account_id: Option<AccountId>,
        message: &R,
        until: Instant,
    ) -> Result<R::Reply, Status> {
        let mut request = self.request(message.clone(), until).await;
        if let Some(account_id) = account_id {
            let account_id = account_id.get().into();
            request.metadata_mut().insert("x-account-id", account_id);
        }
        let picked = self.0.endpoints.pick().await;
        let call = async {
            let mut grpc = ready(&picked).await?;
            let path = PathAndQuery::from_static(R::PATH);
            grpc.unary(request, path, ProstCodec::<R, R::Reply>::default()).await
        };
        let replied = timeout_at(until, call).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        self.note(&picked, replied.as_ref().err());
        replied.map(Response::into_inner).map_err(as_deadline)
    }

    /// Reports the outcome of an attempt to the endpoints.
    pub(super) fn note(&self, picked: &Picked, status: Option<&Status>) {
        match status {
            Some(status) if is_local(status) => {
                self.0.endpoints.failed(picked, has_timed_out(status));
            }
            _ => self.0.endpoints.answered(picked),
        }
    }

    /// Returns a request with the token and the time that is left.
    pub(super) async fn request<M>(&self, message: M, until: Instant) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.0.token {
            let value = token.value().await;
            request.metadata_mut().insert("authorization", value);
        }
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        request
    }
}

/// Waits until a connection can take a request.
pub(super) async fn ready(picked: &Picked) -> Result<Grpc<tonic::transport::Channel>, Status> {
    let mut grpc = Grpc::new(picked.channel.clone());
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(grpc)
}

/// Returns the status of an attempt that had no answer before the deadline.
pub(super) fn late(elapsed: tokio::time::error::Elapsed) -> Status {
    let mut status = Status::deadline_exceeded("the service did not answer before the deadline");
    status.set_source(Arc::new(elapsed));
    status
}

/// Returns a status in which a deadline that passed on this side has the code that it has on the
/// other one. tonic reports it as CANCELLED.
fn as_deadline(status: Status) -> Status {
    if status.code() != Code::Cancelled || !has_timed_out(&status) {
        return status;
    }
    Status::with_metadata(
        Code::DeadlineExceeded,
        "the service did not answer before the deadline",
        MetadataMap::new(),
    )
}

/// Returns whether a call with this outcome may be repeated.
fn may_be_repeated(status: &Status, repeat: Repeat) -> bool {
    if has_timed_out(status) || status.code() == Code::DeadlineExceeded {
        return false;
    }
    if was_not_sent(status) {
        return true;
    }
    repeat != Repeat::IfNotSent && (status.code() == Code::Unavailable || is_local(status))
}

/// Returns how long to wait after an attempt: at most twice as long each time, and different for
/// each call, so that clients do not come back at the same time.
pub(super) fn pause(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.saturating_pow(attempts.saturating_sub(1).min(16));
    let random = u32::from(new_id().as_bytes()[15]); // the end of a new id is random
    longest.min(LONGEST_PAUSE) * (128 + random / 2) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for attempts in [1, 2, 3, 5, 40, u32::MAX] {
            let longest = (FIRST_PAUSE * 2_u32.pow(attempts.min(16) - 1)).min(LONGEST_PAUSE);
            let pauses: std::collections::BTreeSet<_> = (0..50).map(|_| pause(attempts)).collect();
            assert!(pauses.iter().all(|pause| *pause >= longest / 2 && *pause <= longest));
            assert!(pauses.len() > 10, "{pauses:?}");
        }
    }

    #[test]
    fn only_an_unavailable_or_broken_call_is_repeated_and_a_write_without_id_if_it_was_not_sent() {
        let broken = || Status::from_error("the connection broke".into());
        for (status, repeated) in [
            (Status::unavailable(""), true),
            (broken(), true),
            (Status::deadline_exceeded(""), false),
            (Status::aborted(""), false),
            (Status::internal(""), false),
            (Status::resource_exhausted(""), false),
            (Status::invalid_argument(""), false),
        ] {
            for repeat in [Repeat::Read, Repeat::WithRequestId] {
                assert_eq!(may_be_repeated(&status, repeat), repeated, "{status:?}");
            }
            assert!(!may_be_repeated(&status, Repeat::IfNotSent), "{status:?}");
        }
        let refused = tonic::ConnectError("refused".into());
        assert!(may_be_repeated(&Status::from_error(refused.into()), Repeat::IfNotSent));
    }
}
