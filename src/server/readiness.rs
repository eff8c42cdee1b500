//! Whether the service accepts traffic. This follows the database and ends with the drain.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::health::Watched;
use crate::auth::sealing::KeyRing;
use crate::storage::{NotReady, Store};

/// How often the service checks whether the database is ready.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The same while the database is not ready, so that a service on a standby that is promoted is
/// ready again soon.
const CHECK_INTERVAL_WHILE_UNREADY: Duration = Duration::from_millis(250);
/// Number of failed checks in a row after which the service still reports that it is ready.
const TOLERATED_FAILURES: u32 = 3;

/// Whether the service accepts traffic. Clones share the state.
#[derive(Clone)]
pub struct Readiness {
    state: watch::Sender<State>,
    reporter: HealthReporter,
    /// The names under which the health service reports readiness.
    names: Arc<[String]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Unready(NotReady),
    Draining,
}

impl Readiness {
    /// Creates the state of a service that is not ready. It is reported under the empty name and
    /// these names.
    pub async fn new(reporter: HealthReporter, services: Vec<String>) -> Self {
        let names: Arc<[String]> = std::iter::once(String::new()).chain(services).collect();
        reporter.set_service_status("liveness", ServingStatus::Serving).await;
        let readiness = Self { state: watch::Sender::new(State::Starting), reporter, names };
        readiness.report(ServingStatus::NotServing).await;
        readiness
    }

    /// Returns the health service, which reports the same state. Its watches end at `shutdown`.
    #[must_use]
    pub fn service(&self, shutdown: &CancellationToken) -> HealthServer<Watched> {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        HealthServer::new(Watched { service, shutdown: shutdown.clone() })
    }

    /// Returns why the service does not accept traffic now; `None` if it is ready.
    #[must_use]
    pub fn why_unready(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Ready => None,
            State::Starting => Some("the database has not been asked yet".to_owned()),
            State::Unready(why) => Some(why.to_string()),
            State::Draining => Some("the service is shutting down".to_owned()),
        }
    }

    /// Returns whether the service accepts traffic now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.state.borrow() == State::Ready
    }

    /// Returns whether the service does not accept traffic any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.state.borrow() == State::Draining
    }

    /// Waits until the service is ready for the first time.
    pub async fn first_ready(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| *state == State::Ready).await.ok(); // `self` holds the sender
    }

    /// Stops accepting traffic for good.
    pub async fn drain(&self) {
        self.change(State::Draining).await;
    }

    /// Checks the database again and again until `shutdown`. The store is for that alone: if
    /// requests and workers use all their connections, the service is still ready.
    pub async fn follow(self, store: Store, key_ring: KeyRing, shutdown: CancellationToken) {
        tokio::select! {
            () = self.check_again_and_again(&store, &key_ring) => {}
            () = shutdown.cancelled() => {}
        }
        store.close().await;
    }

    async fn check_again_and_again(&self, store: &Store, key_ring: &KeyRing) {
        let mut failures = 0;
        loop {
            match store.check_ready(&key_ring.checks()).await {
                Ok(()) => {
                    failures = 0;
                    self.change(State::Ready).await;
                }
                Err(why) => {
                    failures += 1;
                    if !self.is_ready() || failures > TOLERATED_FAILURES {
                        self.change(State::Unready(why)).await;
                    }
                }
            }
            let wait = if self.is_ready() { CHECK_INTERVAL } else { CHECK_INTERVAL_WHILE_UNREADY };
            tokio::time::sleep(wait).await;
        }
    }

    /// Changes the state, unless the service drains. Logs and reports it if its kind is new.
    async fn change(&self, new: State) {
        let mut is_new = false;
        self.state.send_if_modified(|state| {
            if *state == State::Draining || *state == new {
                return false;
            }
            is_new = !same_kind(state, &new);
            log(state, &new);
            *state = new.clone();
            true
        });
        if is_new {
            let ready = new == State::Ready;
            self.report(if ready { ServingStatus::Serving } else { ServingStatus::NotServing })
                .await;
        }
    }

    async fn report(&self, status: ServingStatus) {
        for name in self.names.iter() {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// A database that does not answer may give a new cause each second; that is still one state.
fn same_kind(old: &State, new: &State) -> bool {
    match (old, new) {
        (State::Unready(old), State::Unready(new)) => discriminant(old) == discriminant(new),
        _ => discriminant(old) == discriminant(new),
    }
}

/// Logs one line for each change of state. A service that is ready at once needs no line.
fn log(old: &State, new: &State) {
    match (old, new) {
        (State::Unready(_), State::Ready) => tracing::info!("ready"),
        (_, State::Unready(why)) if !same_kind(old, new) => tracing::warn!("not ready: {why}"),
        _ => {}
    }
}
