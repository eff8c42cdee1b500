//! What the operators' tools ask: is it alive, is it ready, what does it measure. Plain text, no
//! business data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::health::Watched;
use crate::metrics::Metrics;
use crate::storage::Store;

/// How often the database is asked whether it answers.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How many times in a row it may fail to answer before the service calls itself unready.
const TOLERATED_FAILURES: u32 = 3;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The database is being asked for the first time, on another thread.
pub struct FirstCheck(oneshot::Receiver<Result<(), String>>);

/// Who asks it.
pub struct Asks(oneshot::Sender<Result<(), String>>);

impl FirstCheck {
    /// The two ends.
    pub fn new() -> (Asks, Self) {
        let (asks, answer) = oneshot::channel();
        (Asks(asks), Self(answer))
    }
}

impl Asks {
    /// Asks.
    pub async fn ask(self, store: Store) {
        self.0.send(store.check_ready().await).ok(); // a service that has ended needs no answer
    }
}

/// Whether the service wants traffic. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    ready: watch::Sender<bool>,
    draining: Arc<AtomicBool>,
    reporter: HealthReporter,
    /// The names under which the health service reports readiness.
    names: Arc<[String]>,
}

impl Readiness {
    /// Unready at first; reports under the empty name and these.
    pub async fn new(reporter: HealthReporter, services: Vec<String>) -> Self {
        let names = std::iter::once(String::new()).chain(services).collect();
        let readiness =
            Self { ready: watch::Sender::new(false), draining: Arc::default(), reporter, names };
        readiness.reporter.set_service_status("liveness", ServingStatus::Serving).await;
        readiness.report(false).await;
        readiness
    }

    /// The health service, which tells the same.
    #[must_use]
    pub fn service(&self) -> HealthServer<Watched> {
        HealthServer::new(Watched(HealthService::from_health_reporter(self.reporter.clone())))
    }

    /// Whether the service wants traffic now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until it is ready for the first time.
    pub async fn first_ready(&self) {
        let mut ready = self.ready.subscribe();
        ready.wait_for(|ready| *ready).await.ok(); // the sender is ours
    }

    /// No more traffic, for good.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.report(false).await;
    }

    /// Takes the first answer of the database, and asks it again and again; logs when the answer
    /// changes.
    pub async fn follow(self, first: FirstCheck, store: Store, shutdown: CancellationToken) {
        let mut failures = 0;
        let mut said = String::new();
        let mut checked = first.0.await.unwrap_or_else(|error| Err(error.to_string()));
        loop {
            match checked {
                Ok(()) => {
                    failures = 0;
                    if !said.is_empty() {
                        tracing::info!("ready");
                        said.clear();
                    }
                    self.report(true).await;
                }
                Err(why) => {
                    failures += 1;
                    if !self.is_ready() || failures > TOLERATED_FAILURES {
                        if said != why {
                            tracing::warn!("not ready: {why}");
                            said = why;
                        }
                        self.report(false).await;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            checked = store.check_ready().await;
        }
    }

    async fn report(&self, ready: bool) {
        let ready = ready && !self.draining.load(Ordering::SeqCst);
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        if self.ready.send_replace(ready) == ready && ready {
            return;
        }
        for name in self.names.iter() {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// Answers one ops request.
#[must_use]
pub fn answer<B>(
    request: &Request<B>,
    readiness: &Readiness,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "text/plain", "alive\n"),
        "/readyz" if readiness.is_ready() => text(StatusCode::OK, "text/plain", "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n"),
        "/metrics" => text(StatusCode::OK, OPENMETRICS, metrics.render()),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "no such page: /livez, /readyz, /metrics\n"),
    }
}

/// The answer to what hyper cannot read as a request.
pub fn answer_to_what_is_no_request(status: u16) -> Vec<u8> {
    let text = "the request cannot be read as HTTP\n";
    format!(
        "HTTP/1.1 {status} Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len(),
    )
    .into_bytes()
}

fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
