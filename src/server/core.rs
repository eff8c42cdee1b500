//! What each core has of its own, and how it serves: the store with its connections, the services,
//! the shim. They are built on the runtime of the core and are not shared with other cores.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tower::Layer;

use super::http::{self, Manner};
use super::readiness::{Asks, FirstCheck, Readiness};
use super::{BACKGROUND_WAIT, Settings, after_the_start, grpc, streaming_paths};
use crate::auth::Authenticator;
use crate::events::{CursorKey, Feed};
use crate::grpc::Actions;
use crate::grpc::layers::{Guard, Hold};
use crate::grpc::operator::Events;
use crate::grpc::services::Services;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::rest::{Dispatch, Shim, answer_to_what_is_no_request};
use crate::runtime::{Connections, Core};
use crate::storage::Store;

/// How long after the drain the writes may take to end, and the connections to the database to
/// close.
pub(super) const CLOSING: Duration = Duration::from_millis(300);

/// What a core serves: gRPC connections, and connections of the signed query format.
type Told = (Shared, Connections, Connections);

/// A core that has a store and waits for what it is to serve. What it writes wakes the workers of
/// the background's store.
pub(super) struct Waiting {
    core: Core,
    told: oneshot::Sender<Told>,
}

impl Waiting {
    /// Starts the first core. It checks whether the database is ready, on the connection that its
    /// first request will use. The other cores connect shortly after the start, or for their first
    /// request.
    pub fn first(settings: &Settings, background: &Store) -> io::Result<(FirstCheck, Self)> {
        let (asks, first_check) = FirstCheck::new();
        Ok((first_check, Self::start(0, settings, background, Some(asks))?))
    }

    /// Starts another core.
    pub fn another(index: usize, settings: &Settings, background: &Store) -> io::Result<Self> {
        Self::start(index, settings, background, None)
    }

    fn start(
        index: usize,
        settings: &Settings,
        background: &Store,
        asks: Option<Asks>,
    ) -> io::Result<Self> {
        let (background, share) = (background.clone(), settings.share_of_core());
        let key_check = settings.sealing_key.check_value();
        let (told, what) = oneshot::channel::<Told>();
        let core = Core::start(format!("core-{index}"), move || async move {
            let store = background.beside(&share);
            // The first core plans its queries at once, on the connection that it has.
            let mut plan_after = BACKGROUND_WAIT;
            if let Some(asks) = asks {
                plan_after = Duration::ZERO;
                tokio::spawn(asks.ask(store.clone(), key_check));
            }
            // An error means that the start has failed elsewhere.
            if let Ok((shared, grpc, rest)) = what.await {
                shared.plan_ahead(plan_after, &store);
                shared.serve(store, grpc, rest).await;
            }
        })?;
        Ok(Self { core, told })
    }

    /// Tells the core what to serve.
    pub fn serve(self, shared: Shared, grpc: Connections, rest: Connections) -> Core {
        // If the core has ended, the caller that waits for it learns that.
        self.told.send((shared, grpc, rest)).ok();
        self.core
    }
}

/// What all cores share: settings, and values without connections. It is cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    settings: Settings,
    feed: Feed,
    readiness: Readiness,
    metrics: Metrics,
    guard: Guard,
    described: Arc<Described>,
    shutdown: CancellationToken,
}

/// What is built from the descriptors. Reading them takes longer than building everything else.
struct Described {
    infrastructure: Services,
    dispatch: Arc<Dispatch>,
}

impl Described {
    fn new(readiness: &Readiness) -> Self {
        let dispatch = Dispatch::new().expect("a test reads the descriptors that the build made");
        let infrastructure = grpc::infrastructure(readiness.service());
        Self { infrastructure, dispatch: Arc::new(dispatch) }
    }
}

impl Shared {
    pub fn new(
        settings: &Settings,
        feed: &Feed,
        metrics: &Metrics,
        readiness: &Readiness,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            settings: settings.clone(),
            feed: feed.clone(),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            guard: Guard::new(metrics.clone(), streaming_paths(), settings.bounds.watches),
            described: Arc::new(Described::new(readiness)),
            shutdown: shutdown.clone(),
        }
    }

    /// Plans the most frequent queries on this core, `wait` after the service is ready.
    fn plan_ahead(&self, wait: Duration, store: &Store) {
        let (readiness, shutdown) = (self.readiness.clone(), self.shutdown.clone());
        tokio::spawn(after_the_start(readiness, shutdown, wait, store.clone().plan_ahead()));
    }

    /// Serves the connections of one core until shutdown, finishes running calls, and closes its
    /// store.
    async fn serve(self, store: Store, grpc: Connections, rest: Connections) {
        let counted = store.clone();
        self.metrics.add_pool(move || counted.connections());
        let services = self.services(&store);
        let shim = self.shim(&store, self.guard.layer(services.clone()));
        let guard = self.guard.clone();
        let (settings, shutdown) = (&self.settings, &self.shutdown);
        let listener = self.metrics.listener("grpc");
        let serving = async {
            tokio::join!(
                grpc::serve(grpc, services, guard, settings, listener, shutdown.clone()),
                serve_rest(rest, shim, settings.bounds.keep_alive, shutdown.clone()),
            )
        };
        let too_late = drain_ends(shutdown.clone(), settings.drain_timeout);
        // A silent connection or a health watch would hold the drain forever.
        tokio::select! {
            _ = serving => {}
            () = too_late.cancelled() => {
                tracing::warn!(timeout = ?settings.drain_timeout, "cut off some connections");
            }
        }
        // A database that does not answer would hold the end, too.
        let cut_off = async {
            too_late.cancelled().await;
            tokio::time::sleep(CLOSING).await;
        };
        tokio::select! {
            () = store.close() => {}
            () = cut_off => tracing::warn!("cut off some writes"),
        }
    }

    fn services(&self, store: &Store) -> Services {
        let settings = &self.settings;
        let orders = Orders::new(settings.orders.clone());
        let (limits, grace) = (settings.limits, settings.overdue_grace);
        let sealing_key = settings.sealing_key.clone();
        let actions = Actions::new(store.clone(), orders, limits, grace, sealing_key);
        let feed = self.feed.reading(store.clone());
        let events = Events::new(feed, CursorKey::new(&settings.sealing_key));
        grpc::services(self.described.infrastructure.clone(), &actions, events)
    }

    fn shim(&self, store: &Store, services: Hold<Services>) -> Shim {
        let Settings { sealing_key, timestamp_window, clock, .. } = &self.settings;
        let authenticator =
            Authenticator::new(store.clone(), sealing_key.clone(), *timestamp_window);
        let (dispatch, listener) =
            (Arc::clone(&self.described.dispatch), self.metrics.listener("rest"));
        Shim::new(dispatch, authenticator, services, clock.clone(), listener)
    }
}

/// Returns a token that is cancelled `drain_timeout` after `shutdown`.
fn drain_ends(shutdown: CancellationToken, drain_timeout: Duration) -> CancellationToken {
    let ended = CancellationToken::new();
    let ends = ended.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        tokio::time::sleep(drain_timeout).await;
        ends.cancel();
    });
    ended
}

async fn serve_rest(
    connections: Connections,
    shim: Shim,
    keep_alive: Duration,
    shutdown: CancellationToken,
) {
    let shim = Arc::new(shim);
    let handler = move |request| {
        // If the shim itself panics, the caller still gets an answer.
        let answer = AssertUnwindSafe(Arc::clone(&shim).answer(request)).catch_unwind();
        let shim = Arc::clone(&shim);
        answer.map(move |answer| answer.unwrap_or_else(|_| shim.answer_to_a_panic()))
    };
    let manner = Manner { keep_alive, complete: answer_to_what_is_no_request };
    http::serve(connections, handler, manner, shutdown).await;
}
