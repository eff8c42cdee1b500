//! The client of a commerce system: one connection, a deadline for each call and for each try of
//! it, repeats with the same order id, and a circuit breaker before all of it. Every outcome says
//! whether something may have been ordered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::Settings;
use super::circuit::{Circuit, Turn};
use crate::context::new_id;
use crate::domain::AccountId;
use crate::domain::opening::Order;
use crate::error::Cause;
use crate::proto::billing::v1 as billing;
use crate::proto::convert::timestamp;
use crate::proto::order::v1::order_service_client::OrderServiceClient;
use crate::proto::order::v1::{CancelOrderRequest, PlaceOrderRequest};

/// How often a call is tried, if its deadline lets it.
const ATTEMPTS: u32 = 4;
/// Tries that fit into a deadline when none of them is answered.
const UNANSWERED_ATTEMPTS: u32 = 2;

/// Why an order was not placed, or not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The circuit is open: the commerce system was not asked.
    #[error("the commerce system has not answered for some time and is not asked")]
    NotAsked,
    /// Refused for good: nothing was ordered.
    #[error("the commerce system refused: {0}")]
    Refused(Cause),
    /// Nobody knows whether it was done.
    #[error("the commerce system did not answer in time or failed: {0}")]
    InDoubt(Cause),
}

/// Leave to call the commerce system once, repeats included.
#[derive(Debug)]
pub struct Admission(());

/// A commerce system. Clones share the connection and the circuit.
#[derive(Clone, Debug)]
pub struct Commerce(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    link: Mutex<Link>,
}

#[derive(Debug)]
struct Link {
    channel: Channel,
    circuit: Circuit,
}

/// What a try came to.
enum Tried {
    Done,
    Refused(Status),
    /// Answered, but not so that anybody knew what was done.
    Failed(Status),
    NotAnswered(Cause),
}

impl Commerce {
    /// A commerce system that is connected to when it is first needed.
    #[must_use]
    pub fn new(mut settings: Settings) -> Self {
        let connecting = settings.timeout / UNANSWERED_ATTEMPTS;
        settings.endpoint = settings.endpoint.connect_timeout(connecting);
        let channel = settings.endpoint.connect_lazy();
        let link = Link { channel, circuit: Circuit::new(2 * settings.timeout) };
        Self(Arc::new(Shared { settings, link: Mutex::new(link) }))
    }

    /// How long placing an order may take, repeats included; so long, too, may cancelling.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.0.settings.timeout
    }

    /// How old an intent is before a reconciler takes it in hand.
    #[must_use]
    pub fn reconcile_after(&self) -> Duration {
        self.0.settings.reconcile_after
    }

    /// Whether the circuit is open, so that nothing is asked now.
    #[must_use]
    pub fn is_shut_off(&self) -> bool {
        self.link().circuit.is_open(Instant::now())
    }

    /// Leave to call, or [`Failure::NotAsked`] while the circuit is open. To be asked for before an
    /// intent is written: a refusal then costs nothing.
    pub fn admission(&self) -> Result<Admission, Failure> {
        let admitted = self.link().circuit.admits(Instant::now());
        admitted.then_some(Admission(())).ok_or(Failure::NotAsked)
    }

    /// Places an order.
    pub async fn place(&self, admission: Admission, order: &Order) -> Result<(), Failure> {
        let message = place_order_request(order);
        self.call(admission, |mut client, timeout| {
            let request = with_timeout(message.clone(), timeout);
            async move { client.place_order(request).await.map(Response::into_inner).map(drop) }
        })
        .await
    }

    /// Cancels an order that was placed, or may have been.
    pub async fn cancel(
        &self,
        admission: Admission,
        account_id: AccountId,
        order_id: Uuid,
    ) -> Result<(), Failure> {
        let message =
            CancelOrderRequest { order_id: order_id.to_string(), account_id: account_id.get() };
        self.call(admission, |mut client, timeout| {
            let request = with_timeout(message.clone(), timeout);
            async move { client.cancel_order(request).await.map(Response::into_inner).map(drop) }
        })
        .await
    }

    /// Tries until it is answered, the deadline has come or the circuit opens.
    async fn call<F>(
        &self,
        Admission(()): Admission,
        send: impl Fn(OrderServiceClient<Channel>, Duration) -> F + Send,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Status>> + Send,
    {
        let deadline = Instant::now() + self.0.settings.timeout;
        let mut in_doubt = false;
        let mut attempt = 1;
        loop {
            let cause = match self.try_once(&send, deadline).await {
                Tried::Done => return Ok(()),
                // What a try before this one did may still come to light.
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
        send: &impl Fn(OrderServiceClient<Channel>, Duration) -> F,
        deadline: Instant,
    ) -> Tried
    where
        F: Future<Output = Result<(), Status>> + Send,
    {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.min(self.0.settings.timeout / UNANSWERED_ATTEMPTS);
        let channel = self.link().channel.clone();
        let reply = send(OrderServiceClient::new(channel), timeout);
        let tried = match tokio::time::timeout(timeout, reply).await {
            Ok(Ok(())) => Tried::Done,
            Ok(Err(status)) => judge(status),
            Err(elapsed) => Tried::NotAnswered(Arc::new(elapsed)),
        };
        self.note(&tried);
        tried
    }

    /// Lets the circuit know. A connection that does not answer any more is not used again: it may
    /// be half open.
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
            tracing::warn!(%cause, "the commerce system does not answer: no order is placed for a while");
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a status as `order.proto` says. One with a source was made by our own side of a broken
/// connection.
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

/// A request that tells the other side how long we wait.
fn with_timeout<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// A pause before the next try, longer each time and different for each caller.
fn pause(attempt: u32) -> Duration {
    let random = u64::from(new_id().as_bytes()[15]);
    Duration::from_millis(u64::from(attempt) * 20 + random % 40)
}
