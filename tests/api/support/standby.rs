//! Two PostgreSQL servers. One is the synchronous standby of the other, so it has everything that
//! the primary acknowledged.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};

use super::database::{Database, pg_bin};
use super::eventually;
use super::scratch::Scratch;

/// A primary and its standby.
pub struct Pair {
    scratch: Scratch,
    primary: Option<PrivatePostgres>,
    standby: Option<PrivatePostgres>,
}

impl Pair {
    /// Starts both servers, with the schema.
    pub async fn start() -> Self {
        let scratch = Scratch::new();
        let (first, second) = (scratch.0.join("first"), scratch.0.join("second"));
        let primary = start(first.clone()).await;
        let url = primary.url("postgres");
        storage::migrate(&url.parse().expect("a URL")).await.expect("migrated");
        let socket_dir = socket_dir(&primary);
        stop(primary).await;
        copy(&first, &second);
        follow(&second.join("postgres"), &socket_dir);
        let primary = start(first).await;
        let standby = start(second).await;
        let pair = Self { scratch, primary: Some(primary), standby: Some(standby) };
        pair.acknowledge_when_both_have_it().await;
        pair
    }

    async fn acknowledge_when_both_have_it(&self) {
        let primary = self.primary();
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        primary.execute("SELECT pg_reload_conf()").await;
        let in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        eventually("the standby follows", async || primary.count(in_step).await == 1).await;
    }

    /// Returns the primary.
    pub fn primary(&self) -> Database {
        Database { url: self.primary.as_ref().expect("it runs").url("postgres") }
    }

    /// Returns the standby.
    pub fn standby(&self) -> Database {
        Database { url: self.standby.as_ref().expect("it runs").url("postgres") }
    }

    /// Returns a URL of both, with the standby first.
    pub fn both(&self) -> Database {
        let [standby, primary] = [&self.standby, &self.primary]
            .map(|server| socket_dir(server.as_ref().expect("it runs")));
        let url = format!(
            "postgres:///postgres?host={standby},{primary}&port=5432&user=postgres&sslmode=disable\
             &target_session_attrs=read-write"
        );
        Database { url }
    }

    /// Ends the replication. The primary acknowledges what only it has.
    pub async fn disconnect_standby(&self) {
        let (primary, standby) = (self.primary(), self.standby());
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''").await;
        primary.execute("SELECT pg_reload_conf()").await;
        standby.execute("ALTER SYSTEM SET primary_conninfo = ''").await;
        standby.execute("SELECT pg_reload_conf()").await;
        let standbys = "SELECT count(*) FROM pg_stat_replication";
        eventually("the standby is alone", async || primary.count(standbys).await == 0).await;
    }

    /// Ends the primary abruptly, as a power failure would.
    pub async fn kill_primary(&mut self) {
        let state = self.scratch.0.join("first/postgres/postmaster.pid");
        let state = fs::read_to_string(state).expect("it runs");
        let process = state.lines().next().expect("a process");
        let killed = Command::new("kill").args(["-KILL", process]).status().expect("kill");
        assert!(killed.success());
        stop(self.primary.take().expect("it ran")).await;
    }

    /// Promotes the standby, and waits until it is the primary.
    pub async fn promote(&self) {
        self.standby().execute("SELECT pg_promote()").await;
    }
}

async fn start(data_dir: PathBuf) -> PrivatePostgres {
    let pg_bin = pg_bin().map(Into::into);
    let options = Options { data_dir, durability: Durability::Durable, pg_bin };
    let start = move || PrivatePostgres::start(&options).expect("a private PostgreSQL");
    tokio::task::spawn_blocking(start).await.expect("started")
}

async fn stop(server: PrivatePostgres) {
    tokio::task::spawn_blocking(|| server.stop()).await.expect("stopped");
}

/// Returns the directory of its socket as it is written in a URL.
fn socket_dir(server: &PrivatePostgres) -> String {
    let url = server.url("postgres");
    let (_, host) = url.split_once("host=").expect("a host");
    host.split('&').next().expect("a value").to_owned()
}

/// Copies the files of a stopped server with their owners.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

fn follow(cluster: &Path, socket_dir_of_primary: &str) {
    fs::write(cluster.join("standby.signal"), "").expect("written");
    let configuration = cluster.join("postgresql.auto.conf");
    let mut configuration = OpenOptions::new().append(true).open(configuration).expect("open");
    let line =
        format!("primary_conninfo = 'host={socket_dir_of_primary} port=5432 user=postgres'\n");
    configuration.write_all(line.as_bytes()).expect("written");
}
