//! What each core has of its own, and how it serves: the store with its connections, the services,
//! the shim. They are built on the runtime of the core and are not shared with other cores.

use std::collections::HashSet;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio_util::sync::CancellationToken;
use tower::Layer;

use super::entrance::Entrance;
use super::http::{self, HttpOptions};
use super::methods::streaming_paths;
use super::readiness::Readiness;
use super::shared::Shared;
use super::{ServerSettings, grpc};
use crate::auth::Authenticator;
use crate::events::Cursors;
use crate::explorer::Explorer;
use crate::grpc::Actions;
use crate::grpc::authentication::ServiceAuthLayer;
use crate::grpc::layers::{Guard, Hold};
use crate::grpc::operator::Events;
use crate::grpc::services::Services;
use crate::rest::{Dispatch, Shim, answer_to_what_is_no_request};
use crate::runtime::{Connections, Core};
use crate::storage::Store;

/// How long after the drain the writes may take to end, and the connections to the database to
/// close.
pub(super) const CLOSING: Duration = Duration::from_millis(300);

/// Starts a core that serves these connections, with a store of its own beside the background's: what
/// it writes wakes the workers there.
pub(super) fn start(
    index: usize,
    setup: CoreSetup,
    background: Store,
    grpc: Connections,
    rest: Connections,
) -> io::Result<Core> {
    let pulses = setup.shared.pulses.clone();
    Core::start(format!("core-{index}"), &pulses, move || async move {
        let store = background.beside(&setup.shared.settings.share_of_core());
        let store = store.counted(setup.shared.metrics.database());
        setup.serve(store, grpc, rest).await;
    })
}

/// What all cores share. It is cheap to clone.
#[derive(Clone)]
pub(super) struct CoreSetup {
    shared: Shared,
    guard: Guard,
    /// The paths of the methods that answer with a stream.
    streams: Arc<HashSet<String>>,
    described: Arc<Described>,
    explorer: Option<Explorer>,
}

/// What is built from the descriptors. Reading them takes longer than building everything else.
struct Described {
    infrastructure: Services,
    dispatch: Arc<Dispatch>,
}

impl Described {
    fn new(readiness: &Readiness, reflection: bool, shutdown: &CancellationToken) -> Self {
        let dispatch = Dispatch::new().expect("a test reads the descriptors that the build made");
        let infrastructure =
            grpc::infrastructure(readiness.service(shutdown), reflection, shutdown);
        Self { infrastructure, dispatch: Arc::new(dispatch) }
    }
}

impl CoreSetup {
    pub fn new(shared: &Shared, readiness: &Readiness) -> Self {
        let Shared { settings, metrics, audit, shutdown, .. } = shared;
        let (watches, streams) = (settings.bounds.watches, Arc::new(streaming_paths()));
        Self {
            guard: Guard::new(
                metrics.clone(),
                Arc::clone(&streams),
                watches,
                audit.clone(),
                settings.traces.clone(),
            ),
            streams,
            described: Arc::new(Described::new(readiness, settings.reflection, shutdown)),
            explorer: settings.explorer.as_ref().map(Explorer::new),
            shared: shared.clone(),
        }
    }

    /// Serves the connections of one core until the listeners close, finishes running calls, and closes its
    /// store.
    async fn serve(self, store: Store, grpc: Connections, rest: Connections) {
        let counted = store.clone();
        self.shared.metrics.add_pool("cores", move || counted.pool_state());
        let services = self.services(&store);
        let shim = self.shim(&store, self.guard.layer(services.clone()));
        let guard = self.guard.clone();
        let (settings, shutdown) = (&self.shared.settings, &self.shared.shutdown);
        let authentication = self.authentication(&services);
        let listener = self.shared.metrics.listener("grpc");
        let (of_grpc, of_rest) = settings.listening.entrances();
        let explorer = self.explorer.clone();
        let serving = async {
            tokio::join!(
                grpc::serve(
                    grpc,
                    of_grpc,
                    authentication.layer(guard.layer(services)),
                    settings,
                    listener,
                ),
                serve_rest(rest, of_rest, shim, explorer, settings),
            )
        };
        let too_late = drain_ends(shutdown.clone(), settings.drain_timeout);
        // A call that hangs, or a client that does not read, would hold the drain.
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
        let settings = &self.shared.settings;
        let orders = self.shared.orders();
        let (limits, grace) = (settings.limits, settings.overdue_grace);
        let key_ring = settings.key_ring.clone();
        let actions = Actions::new(store.clone(), orders, limits, grace, key_ring.clone());
        let feed = self.shared.feed.reading(store.clone());
        let events = Events::new(feed, Cursors::new(key_ring));
        grpc::services(self.described.infrastructure.clone(), &actions, events)
    }

    fn authentication(&self, services: &Services) -> ServiceAuthLayer {
        let ServerSettings { clock, callers, .. } = &self.shared.settings;
        let (clock, callers, services) = (clock.clone(), callers.clone(), services.names());
        let Shared { quotas, audit, metrics, .. } = self.shared.clone();
        let streams = Arc::clone(&self.streams);
        ServiceAuthLayer::new(clock, callers, services, streams, quotas, audit, metrics)
    }

    fn shim(&self, store: &Store, services: Hold<Services>) -> Shim {
        let ServerSettings { key_ring, timestamp_window, clock, explorer_url, .. } =
            &self.shared.settings;
        let authenticator = Authenticator::new(
            store.clone(),
            key_ring.clone(),
            self.shared.last_uses.clone(),
            *timestamp_window,
            self.shared.quotas.clone(),
        );
        let (dispatch, listener) =
            (Arc::clone(&self.described.dispatch), self.shared.metrics.listener("rest"));
        let (audit, explorer_url) = (self.shared.audit.clone(), explorer_url.clone());
        Shim::new(dispatch, authenticator, services, clock.clone(), listener, audit, explorer_url)
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
    entrance: Entrance,
    shim: Shim,
    explorer: Option<Explorer>,
    settings: &ServerSettings,
) {
    let shim = Arc::new(shim);
    let handler = move |request| {
        let arrived = Instant::now();
        let explorer = explorer.clone().filter(|explorer| explorer.is_for(&request));
        let answer = match explorer {
            // Boxed: it is rare, and every waiting caller would have room for it.
            Some(explorer) => Either::Left(Box::pin(explorer.answer(request))),
            None => Either::Right(Arc::clone(&shim).answer(request, arrived)),
        };
        // If the shim itself panics, the caller still gets an answer.
        let shim = Arc::clone(&shim);
        let answer = AssertUnwindSafe(answer).catch_unwind();
        answer.map(move |answer| answer.unwrap_or_else(|_| shim.answer_to_a_panic(arrived)))
    };
    let explorer_url = settings.explorer_url.clone();
    let complete =
        Arc::new(move |status| answer_to_what_is_no_request(status, explorer_url.as_deref()));
    let options = HttpOptions { keep_alive: settings.bounds.keep_alive, complete };
    http::serve(connections, entrance, handler, options).await;
}
