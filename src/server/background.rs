//! The tasks in the background, beside those that accept connections.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::readiness::Readiness;
use super::shared::Shared;
use crate::files::Following;
use crate::orders::Orders;
use crate::storage::Store;
use crate::workers;

/// Starts the tasks. They end at shutdown.
pub(super) fn start(shared: &Shared, store: &Store, readiness: &Readiness) -> Vec<JoinHandle<()>> {
    let Shared { settings, feed, last_uses, quotas, shutdown, .. } = shared.clone();
    let until = || shutdown.clone();
    let of_ready = |work: BoxFuture<'static, ()>| once_ready(readiness.clone(), until(), work);
    vec![
        tokio::spawn(readiness.clone().follow(store.clone(), settings.key_ring.clone(), until())),
        tokio::spawn(follow_files(shared.clone())),
        tokio::spawn(last_uses.run(store.clone(), until())),
        tokio::spawn(of_ready(feed.run().boxed())),
        tokio::spawn(of_ready(workers::quotas::run(store.clone(), quotas, until()).boxed())),
        tokio::spawn(of_ready(work(settings, store.clone(), until()).boxed())),
    ]
}

/// Follows the files that are read again when they change, until `shutdown`.
async fn follow_files(shared: Shared) {
    let Shared { settings, metrics, shutdown, .. } = shared;
    let (every, outcomes) = (settings.bounds.look_at_files, metrics.file_outcomes());
    let following = || Following { every, outcomes: outcomes.clone() };
    let tls = async {
        if let Some(tls) = settings.listening.tls {
            tls.follow(following(), shutdown.clone()).await;
        }
    };
    let database_url = async {
        if let Some(file) = settings.database_file {
            file.follow(following(), shutdown.clone()).await;
        }
    };
    tokio::join!(
        tls,
        database_url,
        settings.callers.follow(following(), shutdown.clone()),
        settings.key_ring.follow(following(), shutdown.clone()),
    );
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
