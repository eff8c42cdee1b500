//! Backups that are taken while the service writes, restored into another cluster, as
//! `docs/runbook.md` says. No follower skips an event of the restored log.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::storage;

use crate::support::database::{Database, left_out_without};
use crate::support::follower::Follower;
use crate::support::openings::Openings;
use crate::support::own_server::{OwnServer, configure};
use crate::support::rest::Key;
use crate::support::scratch::Scratch;
use crate::support::{Api, SEALING_KEY, eventually};

const ROLE: &str = "CREATE ROLE cdn_activation LOGIN";
const GRANTS: &str = include_str!("../../deploy/database/grants.sql");
/// Lanes whose positions and events do not fit together.
const WRONG_LANES: &str = "
    SELECT count(*)
    FROM event_lanes
    WHERE last_position - expired_position
            <> (SELECT count(*) FROM event_log WHERE event_log.lane = event_lanes.lane)
        OR last_position
            <> (SELECT coalesce(max(position), 0) FROM event_log WHERE event_log.lane = event_lanes.lane)";

/// Tables with which the owner could not run the next migration.
const TABLES_OF_OTHERS: &str = "
    SELECT count(*)
    FROM pg_tables
    WHERE schemaname = 'public' AND tableowner <> 'cdn_activation_owner'";

/// Starts a service that has the role of `serve`.
async fn serve(database: &Database) -> Arc<Api> {
    let database = database.as_role("cdn_activation");
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    Arc::new(Api::start_on(database, sealing_key, Clock::system(), |_| {}).await)
}

async fn stop(api: Arc<Api>) {
    Arc::into_inner(api).expect("nothing else has it").stop().await;
}

/// A service that was lost, and what callers know of it.
struct Lost {
    /// Accounts whose openings were acknowledged before the backup began.
    before: Vec<Key>,
    /// Whether each follower has seen events that were written after the backup.
    early: Follower,
    late: Follower,
}

/// Serves on a server, takes a backup while callers write, and lets them write more after it.
async fn lose(owner: &Database, back_up: impl AsyncFnOnce()) -> Lost {
    let api = serve(owner).await;
    let openings = Openings::start(Arc::clone(&api));
    openings.more(10).await;
    let (before, mut early) = (openings.acknowledged(), Follower::default());
    early.read(&api).await;
    back_up().await;
    openings.more(20).await;
    openings.end().await;
    let mut late = early.clone();
    late.read_to_the_end(&api, owner).await;
    assert_eq!((early.expired, late.expired), (0, 0));
    stop(api).await;
    Lost { before, early, late }
}

/// Serves on the restored database, and checks that it is whole and that no follower skips an event.
async fn check_restored(owner: &Database, lost: Lost) {
    let api = serve(owner).await;
    assert_eq!(owner.count(WRONG_LANES).await, 0, "positions and events fit together");
    for key in &lost.before {
        let described = api.get(key, "Action=DescribeCdnService").await;
        described.succeeded();
        assert!(described.body.contains("PayByTraffic"), "{}", described.body);
    }
    // As many events as before, so that the restored log has the positions of lost events again.
    let openings = Openings::start(Arc::clone(&api));
    let count = i64::try_from(lost.late.seen.len()).expect("few");
    while owner.count("SELECT count(*) FROM event_log").await <= count {
        openings.more(5).await;
    }
    openings.more(10).await;
    openings.end().await;
    let Lost { mut early, mut late, .. } = lost;
    early.read_to_the_end(&api, owner).await;
    assert_eq!(early.expired, 0, "it has seen nothing that was lost");
    late.read_to_the_end(&api, owner).await;
    assert_eq!(late.expired, 1, "it has seen events that were lost");
    assert_eq!(owner.count(WRONG_LANES).await, 0);
    stop(api).await;
}

/// Starts a server with the schema and the role of `serve`.
async fn prepare(server: &OwnServer) -> Database {
    let owner = server.database("postgres");
    storage::migrate(&owner.url.parse().expect("a URL")).await.expect("migrated");
    owner.execute(ROLE).await;
    owner.execute(GRANTS).await;
    owner
}

/// Creates the database and the roles as `docs/runbook.md` says. Returns the database for the owner of
/// the tables, which is not a superuser.
async fn create_by_the_script(server: &OwnServer) -> Database {
    let roles = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/database/roles.sql");
    let admin = server.database("postgres").url;
    let arguments = ["-X", "-v", "ON_ERROR_STOP=1", "-f", roles, "--dbname", &admin];
    server.run("psql", &arguments).await;
    server.database("cdn_activation").as_role("cdn_activation_owner")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_was_taken_under_writes_is_restored_and_no_follower_skips_an_event() {
    if left_out_without(&["pg_dump", "pg_restore", "psql"]) {
        return;
    }
    let scratch = Scratch::new();
    let server = OwnServer::start(&scratch.0.join("first")).await;
    let owner = create_by_the_script(&server).await;
    storage::migrate(&owner.url.parse().expect("a URL")).await.expect("migrated");
    owner.execute(GRANTS).await;
    let dump = scratch.0.join("dump");
    let arguments = ["--format=custom", "--file", text(&dump), "--dbname", &owner.url];
    let lost = lose(&owner, async || server.run("pg_dump", &arguments).await).await;
    server.stop().await;

    let server = OwnServer::start(&scratch.0.join("second")).await;
    let restored = create_by_the_script(&server).await;
    let arguments = ["--exit-on-error", "--dbname", &restored.url, text(&dump)];
    server.run("pg_restore", &arguments).await;
    assert_eq!(restored.count(TABLES_OF_OTHERS).await, 0);
    check_restored(&restored, lost).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_is_restored_without_an_archive_and_no_follower_skips_an_event() {
    if left_out_without(&["pg_basebackup"]) {
        return;
    }
    let scratch = Scratch::new();
    let copy = scratch.0.join("copy");
    let server = OwnServer::start(&scratch.0.join("first")).await;
    let owner = prepare(&server).await;
    let lost = lose(&owner, async || server.back_up_to(&copy).await).await;
    server.stop().await;

    // Neither the timeline nor the identifier of the system is another one.
    let server = OwnServer::start(&copy).await;
    check_restored(&server.database("postgres"), lost).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_is_recovered_to_a_point_in_time_and_no_follower_skips_an_event() {
    if left_out_without(&["pg_basebackup"]) {
        return;
    }
    let scratch = Scratch::new();
    let (first, copy) = (scratch.0.join("first"), scratch.0.join("copy"));
    OwnServer::start(&first).await.stop().await; // makes the cluster
    // A directory that only the user of PostgreSQL can enter.
    let archive = first.join("postgres/archive");
    let settings = format!(
        "archive_mode = on\narchive_command = 'mkdir -p {0} && cp %p {0}/%f'\n",
        text(&archive)
    );
    configure(&first, &settings);
    let server = OwnServer::start(&first).await;
    let owner = prepare(&server).await;
    let back_up = async || {
        server.back_up_to(&copy).await;
        owner.execute("SELECT pg_create_restore_point('before the fault')").await;
    };
    let lost = lose(&owner, back_up).await;
    server.stop().await; // all WAL is archived then

    let settings = format!(
        "archive_mode = off\nrestore_command = 'cp {}/%f %p'\n\
         recovery_target_name = 'before the fault'\nrecovery_target_action = promote\n",
        text(&archive)
    );
    configure(&copy, &settings);
    fs::write(copy.join("postgres/recovery.signal"), "").expect("written");
    let server = OwnServer::start(&copy).await;
    let owner = server.database("postgres");
    let is_primary = "SELECT count(*) WHERE NOT pg_is_in_recovery()";
    eventually("it is recovered", async || owner.count(is_primary).await == 1).await;
    check_restored(&owner, lost).await;
    server.stop().await;
}
