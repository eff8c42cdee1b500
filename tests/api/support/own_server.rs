//! A PostgreSQL of one test, and the programs of its version: `pg_dump`, `pg_basebackup` and so on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use private_postgres::{Durability, Options, PrivatePostgres, misleading_variables};

use super::database::{Database, pg_bin};

/// A running server whose data outlive it.
pub struct OwnServer(PrivatePostgres);

impl OwnServer {
    /// Starts a server on the cluster in this directory, which is made if it does not exist.
    pub async fn start(data_dir: &Path) -> Self {
        let (data_dir, pg_bin) = (data_dir.to_owned(), pg_bin().map(Into::into));
        let options = Options { data_dir, durability: Durability::Durable, pg_bin };
        let start = move || PrivatePostgres::start(&options).expect("a private PostgreSQL");
        Self(tokio::task::spawn_blocking(start).await.expect("started"))
    }

    /// Returns a database for the role that owns the cluster.
    pub fn database(&self, name: &str) -> Database {
        Database { url: self.0.url(name) }
    }

    /// Returns the directory of the cluster.
    pub fn cluster(&self) -> PathBuf {
        self.0.data_dir().join("postgres")
    }

    /// Runs one of the programs, with an address of the server, and waits for its success.
    pub async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs().join(program));
        for variable in misleading_variables() {
            command.env_remove(variable);
        }
        command.args(arguments);
        let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let ended = ended.expect("it is installed");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{program}: {said}");
    }

    /// Returns the directory of the programs: that of the running server.
    fn programs(&self) -> PathBuf {
        let state = fs::read_to_string(self.cluster().join("postmaster.pid")).expect("it runs");
        let process = state.lines().next().expect("a process").trim();
        let program = fs::read_link(format!("/proc/{process}/exe")).expect("it runs");
        program.parent().expect("a directory").to_owned()
    }

    /// Copies the cluster while the server runs, to `data_dir`, as a base backup with the WAL that it
    /// needs.
    pub async fn back_up_to(&self, data_dir: &Path) {
        fs::create_dir(data_dir).expect("a name that is free");
        let (cluster, url) = (data_dir.join("postgres"), self.0.url("postgres"));
        let copy = cluster.to_str().expect("UTF-8");
        let arguments = ["-D", copy, "-X", "stream", "-c", "fast", "-d", &url];
        self.run("pg_basebackup", &arguments).await;
        let owner = format!("--reference={}", self.cluster().display());
        let changed = Command::new("chown").args(["-R", &owner]).arg(data_dir).status();
        assert!(changed.expect("chown").success());
    }

    /// Stops the server as a service manager does.
    pub async fn stop(self) {
        tokio::task::spawn_blocking(|| self.0.stop()).await.expect("stopped");
    }
}

/// Adds settings to the configuration of a cluster whose server does not run.
pub fn configure(data_dir: &Path, settings: &str) {
    let file = data_dir.join("postgres/postgresql.auto.conf");
    let mut file = fs::OpenOptions::new().append(true).open(file).expect("it exists");
    file.write_all(settings.as_bytes()).expect("written");
}
