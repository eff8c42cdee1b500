//! Step 3: the actions. An action is one method, a few lines that read like its documentation page;
//! what every action shares is here: context in, log line, error out.

pub mod answered;
pub mod bodies;
mod cdn;
mod dcdn;
pub mod layers;
mod opening;
pub mod operator;
mod paced;
pub mod services;
mod shared;
pub mod status;
mod streams;
pub mod tokenless;

use std::time::Instant;

use chrono::Duration;
use operator::page::PageTokens;
pub(crate) use operator::repeat::KEPT as REQUEST_IDS_KEPT;
use tonic::{Request, Response, Status};

use crate::auth::secret::SealingKey;
use crate::context::{Context, RequestId};
use crate::domain::opening::Limits;
use crate::error::Error;
use crate::logging;
use crate::orders::Orders;
use crate::storage::Store;

/// What a method returns.
type Reply<T> = Result<Response<T>, Status>;

/// What the actions work with. Clones share it.
#[derive(Clone, Debug)]
pub struct Actions {
    store: Store,
    orders: Orders,
    limits: Limits,
    /// How long a financial lock may hold before payment counts as overdue.
    overdue_grace: Duration,
    sealing_key: SealingKey,
    page_tokens: PageTokens,
}

impl Actions {
    /// Actions on a store, with what a deployment decides for itself.
    #[must_use]
    pub fn new(
        store: Store,
        orders: Orders,
        limits: Limits,
        overdue_grace: Duration,
        sealing_key: SealingKey,
    ) -> Self {
        let page_tokens = PageTokens::new(&sealing_key);
        Self { store, orders, limits, overdue_grace, sealing_key, page_tokens }
    }
}

/// Runs one action: takes the context and the message out of the request, logs one line, turns an
/// error into a status. A request without a context came past the authentication: it is refused. Of
/// successes the log has a sample.
async fn act<M, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    run(action, request, decide, logging::is_in_sample).await
}

/// The same for an operator's call; the log has every one.
async fn operate<M, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    run(action, request, decide, || true).await
}

async fn run<M, T, F>(
    action: &'static str,
    request: Request<M>,
    decide: impl FnOnce(Context, M) -> F,
    success_is_logged: fn() -> bool,
) -> Reply<T>
where
    F: Future<Output = Result<T, Error>>,
{
    let (_, mut extensions, message) = request.into_parts();
    let Some(context) = extensions.remove::<Context>() else {
        return Err(status::of(&Error::ServiceUnauthenticated, &RequestId::random(), None));
    };
    let line = LogLine {
        action,
        request_id: context.request_id.clone(),
        wire: context.wire.name(),
        account_id: context.account().ok().map(crate::domain::AccountId::get),
    };
    let (arrived, api_version) = (context.arrived, context.api_version.clone());
    let outcome = decide(context, message).await;
    if outcome.is_err() || success_is_logged() {
        line.write(outcome.as_ref().err(), arrived);
    }
    outcome
        .map(Response::new)
        .map_err(|error| status::of(&error, &line.request_id, api_version.as_deref()))
}

/// Who asked for what: the part of a log line that is known before the answer.
struct LogLine {
    action: &'static str,
    request_id: RequestId,
    wire: &'static str,
    account_id: Option<i64>,
}

impl LogLine {
    fn write(&self, error: Option<&Error>, arrived: Instant) {
        let Self { action, request_id, wire, account_id } = self;
        let milliseconds = arrived.elapsed().as_secs_f64() * 1e3;
        match error {
            None => {
                tracing::info!(action, %request_id, wire, account_id, milliseconds, code = "OK");
            }
            Some(error) => log_error(error, action, request_id, wire, *account_id, milliseconds),
        }
    }
}

fn log_error(
    error: &Error,
    action: &str,
    request_id: &RequestId,
    wire: &str,
    account_id: Option<i64>,
    milliseconds: f64,
) {
    let (code, http_status) = (error.code(), error.http_status());
    if !error.is_our_fault() {
        tracing::info!(action, %request_id, wire, account_id, milliseconds, %code, http_status, "refused");
        return;
    }
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::error!(action, %request_id, wire, account_id, milliseconds, %code, http_status, cause, "failed");
}

/// The log line of a request that no action has seen.
pub fn log_refused_at_the_door(request_id: &RequestId, path: &str, error: &Error) {
    log_error(error, path, request_id, "grpc", None, 0.0);
}

/// The log line of a signed request that no action has seen.
pub fn log_refused_at_the_gateway(request_id: &RequestId, action: &str, error: &Error) {
    log_error(error, action, request_id, "rest", None, 0.0);
}
