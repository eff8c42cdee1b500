//! Step 3: the actions (docs/behaviour.md, "Actions"). Each action is a short method. This module
//! has what all actions share: they get a context, log one line, and return an error as a status.

pub mod advice;
pub mod answered;
mod attempts;
pub mod authentication;
pub mod bodies;
mod cdn;
mod dcdn;
pub mod layers;
mod opening;
pub mod operator;
mod paced;
pub mod services;
mod shared;
mod streams;
pub mod tokenless;
mod traced;

use chrono::Duration;
use operator::names::{self, Names};
use operator::page::PageTokens;
use tonic::{Request, Response, Status};

use crate::audit::{Audit, Principal, Refused};
use crate::auth::sealing::KeyRing;
use crate::context::Context;
use crate::domain::AccountId;
use crate::domain::opening::Limits;
use crate::error::{Error, status};
use crate::ids::RequestId;
use crate::logging::{self, CallLine, Subject};
use crate::orders::Orders;
use crate::storage::Store;

/// The return type of a method.
type Reply<T> = Result<Response<T>, Status>;

/// What the actions use. Clones share it.
#[derive(Clone, Debug)]
pub struct Actions {
    store: Store,
    orders: Orders,
    limits: Limits,
    /// How long a financial lock may hold before payment is overdue.
    overdue_grace: Duration,
    key_ring: KeyRing,
    page_tokens: PageTokens,
}

impl Actions {
    /// Creates the actions on a store, with the settings of a deployment.
    #[must_use]
    pub fn new(
        store: Store,
        orders: Orders,
        limits: Limits,
        overdue_grace: Duration,
        key_ring: KeyRing,
    ) -> Self {
        let page_tokens = PageTokens::new(key_ring.clone());
        Self { store, orders, limits, overdue_grace, key_ring, page_tokens }
    }
}

/// Runs one action: takes the context and the message out of the request, logs one line, records
/// a refusal for audit, and turns an error into a status. A request without a context did not pass the authentication and is
/// refused. Only a sample of the successful calls is logged.
async fn act<M, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    let subject = |context: &mut Context, _: &M| {
        let subject = Subject {
            caller: context.service_name().ok().cloned(),
            account_id: context.named_account().ok().map(AccountId::get),
            ..Subject::default()
        };
        (subject, String::new())
    };
    run(action, request, decide, subject, logging::is_in_sample).await
}

/// Runs one operator's call likewise. Every successful call is logged, with its account and access
/// key.
async fn operate<M: Names, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    let decide = async |context, message| {
        names::check(&context, &message)?;
        decide(context, message).await
    };
    let subject =
        |context: &mut Context, message: &M| (names::subject(context, message), message.resource());
    run(action, request, decide, subject, || true).await
}

async fn run<M, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
    subject: impl FnOnce(&mut Context, &M) -> (Subject, String),
    success_is_logged: fn() -> bool,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    let (_, mut extensions, message) = request.into_parts();
    let Some(mut context) = extensions.remove::<Context>() else {
        return Err(status::of(&Error::ServiceUnauthenticated, &RequestId::random(), None));
    };
    let audit = extensions.remove::<Audit>();
    context.action = action;
    let (request_id, wire) = (context.request_id.clone(), context.wire);
    let (origin, (subject, resource)) = (context.origin.clone(), subject(&mut context, &message));
    let line = CallLine { action, request_id, wire, origin, subject };
    let (arrived, api_version) = (context.arrived, context.api_version.clone());
    let (caller, at) = (context.caller.clone(), context.wire_now);
    let hides_accounts = context.hides_accounts();
    let outcome = match decide(context, message).await {
        Err(Error::AccountNotFound | Error::UnknownAccessKey) if hides_accounts => {
            Err(Error::AccountNotGranted)
        }
        outcome => outcome,
    };
    if let (Err(error), Some(audit)) = (&outcome, audit) {
        audit.refused(&Refused {
            action,
            error,
            api_version: api_version.as_deref(),
            principal: Principal::Verified(caller.principal()),
            account_id: line.subject.account_id().and_then(AccountId::new),
            resource,
            request_id: &line.request_id,
            origin: &line.origin,
            at,
        });
    }
    if outcome.is_err() || success_is_logged() {
        line.write(outcome.as_ref().err(), arrived.elapsed());
    }
    outcome
        .map(Response::new)
        .map_err(|error| status::of(&error, &line.request_id, api_version.as_deref()))
}
