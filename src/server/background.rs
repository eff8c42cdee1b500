//! The tasks in the background, beside those that accept connections.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::readiness::Readiness;
use super::shared::Shared;
use crate::orders::Orders;
use crate::storage::Store;
use crate::workers;

/// Starts the tasks. They end at shutdown.
pub(super) fn start(shared: &Shared, store: &Store, readiness: &Readiness) -> Vec<JoinHandle<()>> {
    let Shared { settings, feed, last_uses, quotas, shutdown, .. } = shared.clone();
    let until = || shutdown.clone();
    let of_ready = |work: BoxFuture<'static, ()>| once_ready(readiness.clone(), until(), work);
    vec![
        tokio::spawn(stay_current(&settings, &shutdown)),
        tokio::spawn(readiness.clone().follow(store.clone(), settings.key_ring.clone(), until())),
        tokio::spawn(settings.callers.clone().follow(until())),
        tokio::spawn(settings.key_ring.clone().follow(until())),
        tokio::spawn(last_uses.run(store.clone(), until())),
        tokio::spawn(of_ready(feed.run().boxed())),
        tokio::spawn(of_ready(workers::quotas::run(store.clone(), quotas, until()).boxed())),
        tokio::spawn(of_ready(work(settings, store.clone(), until()).boxed())),
    ]
}

/// Uses new certificates until `shutdown`, if there is TLS.
fn stay_current(
    settings: &ServerSettings,
    shutdown: &CancellationToken,
) -> impl Future<Output = ()> + 'static {
    let (tls, interval) = (settings.listening.tls.clone(), settings.bounds.certificates);
    let shutdown = shutdown.clone();
    async move {
        if let Some(tls) = tls {
            tls.stay_current(interval, shutdown).await;
        }
    }
}

/// Runs work that needs a database that is ready.
async fn once_ready(
    readiness: Readiness,
    shutdown: CancellationToken,
    work: impl Future<Output = ()>,
) {
    tokio::select! {
        () = readiness.first_ready() => work.await,
        () = shutdown.cancelled() => {}
    }
}

/// Runs the workers, if this process has them.
async fn work(settings: ServerSettings, store: Store, shutdown: CancellationToken) {
    if settings.workers {
        let ServerSettings { clock, event_retention, audit_retention, orders, .. } = settings;
        let orders = Orders::new(orders);
        let kept = workers::Kept { events: event_retention, audit_records: audit_retention };
        workers::run(store, orders, clock, kept, shutdown).await;
    }
}
