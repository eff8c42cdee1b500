//! The client of a commerce system. It has one connection, a deadline for each call and each
//! attempt, retries with the same order id, and a circuit breaker. Each failure says whether an
//! order may have been placed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::CommerceSettings;
use super::circuit::{Circuit, Turn};
use crate::domain::AccountId;
use crate::domain::opening::Order;
use crate::error::Cause;
use crate::ids::new_id;
use crate::proto::billing::v1 as billing;
use crate::proto::convert::timestamp;
use crate::proto::order::v1::order_service_client::OrderServiceClient;
use crate::proto::order::v1::{CancelOrderRequest, PlaceOrderRequest};
use crate::traces::{self, OpenSpan, RPC_METHOD, RPC_STATUS, RPC_SYSTEM, SpanKind};

/// Largest number of attempts of a call within its deadline.
const ATTEMPTS: u32 = 4;
/// The methods, as spans name them.
const PLACE: &str = "activation.order.v1.OrderService/PlaceOrder";
const CANCEL: &str = "activation.order.v1.OrderService/CancelOrder";
/// Number of unanswered attempts that fit into a deadline.
const UNANSWERED_ATTEMPTS: u32 = 2;

/// Why an order was not placed, or not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The circuit is open: the call was not sent.
    #[error("the commerce system has not answered for some time; the call was not sent")]
    NotAsked,
    /// The commerce system refused the call: nothing was ordered.
    #[error("the commerce system refused: {0}")]
    Refused(Cause),
    /// It is not known whether the call had an effect.
    #[error("the commerce system did not answer in time or failed: {0}")]
    InDoubt(Cause),
}

/// Permission to make one call to the commerce system, retries included.
#[derive(Debug)]
pub struct Admission(());

/// A commerce system. Clones share the connection and the circuit.
#[derive(Clone, Debug)]
pub struct Commerce(Arc<CommerceState>);

#[derive(Debug)]
struct CommerceState {
    settings: CommerceSettings,
    link: Mutex<Link>,
}

#[derive(Debug)]
struct Link {
    channel: Channel,
    circuit: Circuit,
}

/// The outcome of an attempt.
enum Tried {
    Done,
    Refused(Status),
    /// The commerce system answered, but the answer does not say whether the call had an effect.
    Failed(Status),
    NotAnswered(Cause),
}

impl Commerce {
    /// Creates a client that connects when it is first used.
    #[must_use]
    pub fn new(mut settings: CommerceSettings) -> Self {
        let connecting = settings.timeout / UNANSWERED_ATTEMPTS;
        settings.endpoint = settings.endpoint.connect_timeout(connecting);
        let channel = settings.endpoint.connect_lazy();
        let link = Link { channel, circuit: Circuit::new(2 * settings.timeout) };
        Self(Arc::new(CommerceState { settings, link: Mutex::new(link) }))
    }

    /// Returns how long placing an order may take, retries included. Cancelling may take as long.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// Returns how old an intent is before a reconciler takes it.
    #[must_use]
    pub fn reconcile_after(&self) -> Duration {
        self.0.settings.reconcile_after
    }

    /// Whether the circuit is open, so that no call is sent now.
    #[must_use]
    pub fn is_shut_off(&self) -> bool {
        self.link().circuit.is_open(Instant::now())
    }

    /// Returns permission to make a call, or [`Failure::NotAsked`] while the circuit is open. Ask
    /// for it before the intent is written, so that a refusal costs no write.
    pub fn admission(&self) -> Result<Admission, Failure> {
        let admitted = self.link().circuit.admits(Instant::now());
        admitted.then_some(Admission(())).ok_or(Failure::NotAsked)
    }

    /// Places an order.
    pub async fn place(&self, admission: Admission, order: &Order) -> Result<(), Failure> {
        let message = place_order_request(order);
        self.call(admission, PLACE, |mut client, timeout| {
            let request = self.request(message.clone(), timeout);
            async move { client.place_order(request).await.map(Response::into_inner).map(drop) }
        })
        .await
    }

    /// Cancels an order that was placed or may have been placed.
    pub async fn cancel(
        &self,
        admission: Admission,
        account_id: AccountId,
        order_id: Uuid,
    ) -> Result<(), Failure> {
        let message =
            CancelOrderRequest { order_id: order_id.to_string(), account_id: account_id.get() };
        self.call(admission, CANCEL, |mut client, timeout| {
            let request = self.request(message.clone(), timeout);
            async move { client.cancel_order(request).await.map(Response::into_inner).map(drop) }
        })
        .await
    }

    /// Makes attempts until one is answered, the deadline is reached or the circuit opens.
    async fn call<F>(
        &self,
        Admission(()): Admission,
        method: &'static str,
        send: impl Fn(OrderServiceClient<Channel>, Duration) -> F + Send,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Status>> + Send,
    {
        let deadline = Instant::now() + self.0.settings.timeout;
        let mut in_doubt = false;
        let mut attempt = 1;
        loop {
            let cause = match self.try_once(method, &send, deadline).await {
                Tried::Done => return Ok(()),
                // An earlier attempt may have had an effect.
                Tried::Refused(status) if in_doubt => {
                    return Err(Failure::InDoubt(Arc::new(status)));
                }
                Tried::Refused(status) => return Err(Failure::Refused(Arc::new(status))),
                Tried::Failed(status) => return Err(Failure::InDoubt(Arc::new(status))),
                Tried::NotAnswered(cause) => cause,
            };
            in_doubt = true;
            let pause = pause(attempt);
            let late = Instant::now() + pause >= deadline;
            if attempt == ATTEMPTS || late || !self.link().circuit.is_closed() {
                return Err(Failure::InDoubt(cause));
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn try_once<F>(
        &self,
        method: &'static str,
        send: &impl Fn(OrderServiceClient<Channel>, Duration) -> F,
        deadline: Instant,
    ) -> Tried
    where
        F: Future<Output = Result<(), Status>> + Send,
    {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.min(self.0.settings.timeout / UNANSWERED_ATTEMPTS);
        let channel = self.link().channel.clone();
        let mut span = traces::child(SpanKind::Client, || method.into());
        let position = span.as_ref().map(OpenSpan::position);
        // The request is made at the position of the span, which it names.
        let reply = async { send(OrderServiceClient::new(channel), timeout).await };
        let reply = tokio::time::timeout(timeout, reply);
        let tried = match traces::within(position, reply).await {
            Ok(Ok(())) => Tried::Done,
            Ok(Err(status)) => judge(status),
            Err(elapsed) => Tried::NotAnswered(Arc::new(elapsed)),
        };
        if let Some(span) = &mut span {
            self.describe(span, method, &tried);
        }
        self.note(&tried);
        tried
    }

    /// Says in the span of an attempt what was called, and how it ended.
    fn describe(&self, span: &mut OpenSpan, method: &'static str, tried: &Tried) {
        span.set(RPC_SYSTEM.0, RPC_SYSTEM.1);
        span.set(RPC_METHOD, method);
        let uri = self.0.settings.endpoint.uri();
        if let Some(host) = uri.host() {
            // An address of IPv6 is in brackets in a URI only.
            let address = host.trim_start_matches('[').trim_end_matches(']');
            span.set("server.address", address.to_owned());
        }
        if let Some(port) = uri.port_u16() {
            span.set("server.port", i64::from(port));
        }
        let code = match tried {
            Tried::Done => Code::Ok,
            Tried::Refused(status) | Tried::Failed(status) => status.code(),
            Tried::NotAnswered(cause) => {
                cause.downcast_ref::<Status>().map_or(Code::DeadlineExceeded, Status::code)
            }
        };
        span.set(RPC_STATUS, traces::code_name(code));
        if code != Code::Ok {
            span.fail(traces::code_name(code));
        }
    }

    /// Reports the outcome of an attempt to the circuit. When the circuit opens, the connection is
    /// replaced, because it may be half open.
    fn note(&self, tried: &Tried) {
        let mut link = self.link();
        let Tried::NotAnswered(cause) = tried else {
            if link.circuit.answered() == Turn::Closed {
                tracing::info!("the commerce system answers again");
            }
            return;
        };
        if link.circuit.not_answered(Instant::now()) == Turn::Opened {
            link.channel = self.0.settings.endpoint.connect_lazy();
            tracing::warn!(%cause, "the commerce system does not answer; calls are refused until a probe is answered");
        }
    }

    /// Returns a request that says how long the caller waits and, if there is a token, who it is.
    fn request<T>(&self, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        traces::inject(request.metadata_mut().as_mut());
        if let Some(authorization) = &self.0.settings.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a status as `order.proto` defines it. A status with a source was made on this side of a
/// broken connection.
fn judge(status: Status) -> Tried {
    if std::error::Error::source(&status).is_some() {
        return Tried::NotAnswered(Arc::new(status));
    }
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            Tried::NotAnswered(Arc::new(status))
        }
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::NotFound
        | Code::AlreadyExists
        | Code::OutOfRange
        | Code::Unauthenticated
        | Code::Unimplemented => Tried::Refused(status),
        _ => Tried::Failed(status),
    }
}

fn place_order_request(order: &Order) -> PlaceOrderRequest {
    let websocket = order.terms.websocket.map(billing::WebsocketChargeType::from);
    PlaceOrderRequest {
        order_id: order.order_id.to_string(),
        account_id: order.account_id.get(),
        product: billing::Product::from(order.terms.product).into(),
        internet_charge_type: billing::ChargeType::from(order.terms.internet).into(),
        websocket_charge_type: websocket.unwrap_or_default().into(),
        order_time: Some(timestamp(order.ordered_at)),
    }
}

/// Returns how long to wait before the next attempt: longer each time, and different for each
/// caller.
fn pause(attempt: u32) -> Duration {
    let random = u64::from(new_id().as_bytes()[15]);
    Duration::from_millis(u64::from(attempt) * 20 + random % 40)
}
