//! The tasks in the background, beside those that accept connections.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::readiness::Readiness;
use super::shared::Shared;
use crate::files::Following;
use crate::storage::Store;
use crate::workers;

/// Number of connections of readiness, in addition to those that requests and workers share.
const READINESS_CONNECTIONS: u32 = 1;

/// Starts the tasks. They end at shutdown.
pub(super) fn start(shared: &Shared, store: &Store, readiness: &Readiness) -> Vec<JoinHandle<()>> {
    let Shared { feed, last_uses, quotas, metrics, shutdown, settings, .. } = shared.clone();
    let until = || shutdown.clone();
    let of_readiness = store.beside(&settings.database.with_connections(READINESS_CONNECTIONS));
    let of_readiness = of_readiness.counted(metrics.database());
    let counted = of_readiness.clone();
    metrics.add_pool("readiness", move || counted.pool_state());
    let of_ready = |work: BoxFuture<'static, ()>| once_ready(readiness.clone(), until(), work);
    let turns = |name, failure| metrics.worker(name, failure);
    let of_uses = turns("last_uses", "the last uses of access keys are not recorded");
    let of_feed = turns("feed", "the event log is not read");
    let of_quotas = turns("quotas", "quotas are not shared with other processes");
    let quotas = workers::quotas::run(store.clone(), quotas, of_quotas, until());
    let backlog = workers::backlog::run(store.clone(), metrics, until());
    vec![
        tokio::spawn(readiness.clone().follow(of_readiness, settings.key_ring.clone(), until())),
        tokio::spawn(follow_files(shared.clone())),
        tokio::spawn(last_uses.run(store.clone(), of_uses, until())),
        tokio::spawn(of_ready(feed.run(of_feed).boxed())),
        tokio::spawn(of_ready(quotas.boxed())),
        tokio::spawn(of_ready(backlog.boxed())),
        tokio::spawn(of_ready(work(shared.clone(), store.clone()).boxed())),
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
async fn work(shared: Shared, store: Store) {
    if shared.settings.workers {
        let orders = shared.orders();
        let Shared { settings, metrics, shutdown, .. } = shared;
        let ServerSettings { clock, event_retention, audit_retention, .. } = settings;
        let kept = workers::Kept { events: event_retention, audit_records: audit_retention };
        workers::run(store, orders, clock, kept, metrics, shutdown).await;
    }
}
