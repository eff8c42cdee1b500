//! What a core has for itself, and how it serves: the store with its connections, the routes, the
//! shim. Built on the runtime that uses it; nothing of it crosses to another.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::Layer;

use super::ops::Readiness;
use super::{Settings, after_the_start, grpc, http, on_its_way, streaming_paths};
use crate::auth::Authenticator;
use crate::events::{CursorKey, Feed};
use crate::grpc::Actions;
use crate::grpc::layers::{Guard, Hold};
use crate::grpc::operator::Events;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::rest::{Dispatch, Shim};
use crate::runtime::Connections;
use crate::storage::Store;

/// What all cores share: settings, and what holds no connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    settings: Settings,
    /// The background's store: its workers are woken by what cores write.
    background: Store,
    feed: Feed,
    readiness: Readiness,
    metrics: Metrics,
    guard: Guard,
    described: Arc<OnceLock<Described>>,
    shutdown: CancellationToken,
}

/// What is read off the descriptors, which takes longer than everything else that is built.
struct Described {
    infrastructure: Routes,
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
        background: &Store,
        feed: &Feed,
        metrics: &Metrics,
        readiness: &Readiness,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            settings: settings.clone(),
            background: background.clone(),
            feed: feed.clone(),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            guard: Guard::new(metrics.clone(), streaming_paths()),
            described: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Serves the connections of one core until shutdown, finishes what runs, and closes its store.
    pub async fn serve(self, grpc: Connections, rest: Connections) {
        let store = self.background.beside(self.settings.share_of_core());
        let counted = store.clone();
        self.metrics.add_pool(move || counted.connections());
        tokio::spawn(store.clone().connect_ahead());
        on_its_way().await;
        tokio::spawn(after_the_start(
            self.readiness.clone(),
            self.shutdown.clone(),
            store.clone().plan_ahead(),
        ));
        let routes = self.routes(&store);
        let shim = self.shim(&store, self.guard.layer(routes.clone()));
        let guard = self.guard.clone();
        let (settings, shutdown) = (&self.settings, &self.shutdown);
        let serving = async {
            tokio::join!(
                grpc::serve(grpc, routes, guard, settings, shutdown.clone()),
                serve_rest(rest, shim, shutdown.clone()),
            )
        };
        let too_late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(settings.drain_timeout).await;
        };
        // A connection that never said anything, or a health watch, would hold the drain for ever.
        tokio::select! {
            _ = serving => {}
            () = too_late => {
                tracing::warn!(timeout = ?settings.drain_timeout, "some connections were cut off");
            }
        }
        store.close().await;
    }

    /// Made by the core that comes first; the others wait for it.
    fn described(&self) -> &Described {
        self.described.get_or_init(|| Described::new(&self.readiness))
    }

    fn routes(&self, store: &Store) -> Routes {
        let settings = &self.settings;
        let orders = Orders::new(settings.orders.clone());
        let (limits, grace) = (settings.limits, settings.overdue_grace);
        let sealing_key = settings.sealing_key.clone();
        let actions = Actions::new(store.clone(), orders, limits, grace, sealing_key);
        let feed = self.feed.reading(store.clone());
        let events = Events::new(feed, CursorKey::new(&settings.sealing_key));
        grpc::routes(self.described().infrastructure.clone(), &actions, events)
    }

    fn shim(&self, store: &Store, routes: Hold<Routes>) -> Shim {
        let Settings { sealing_key, timestamp_window, clock, .. } = &self.settings;
        let authenticator =
            Authenticator::new(store.clone(), sealing_key.clone(), *timestamp_window);
        Shim::new(Arc::clone(&self.described().dispatch), authenticator, routes, clock.clone())
    }
}

async fn serve_rest(connections: Connections, shim: Shim, shutdown: CancellationToken) {
    let shim = Arc::new(shim);
    let handler = move |request| {
        let shim = Arc::clone(&shim);
        async move {
            // A panic in the shim itself still ends in an answer.
            let answer = AssertUnwindSafe(shim.answer(request)).catch_unwind().await;
            answer.unwrap_or_else(|_| Shim::answer_to_a_panic())
        }
    };
    http::serve(connections, handler, shutdown).await;
}
