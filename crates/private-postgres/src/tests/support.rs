//! Functions that the tests with real servers share.

use super::super::binaries::Binaries;
use super::super::{Durability, Options, PrivatePostgres, cluster};
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A directory for one test, removed at its end.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pg-test-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = fs::canonicalize(env::temp_dir()).unwrap().join(name);
        fs::create_dir(&path).unwrap();
        // Like the directory for temporary files: every user may remove its own files only.
        fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
        Self(path)
    }

    pub(super) fn options(&self, name: &str, durability: Durability) -> Options {
        Options { data_dir: self.0.join(name), durability, pg_bin: pg_bin() }
    }

    pub(super) fn is_roots(&self) -> bool {
        fs::metadata(&self.0).unwrap().uid() == 0
    }

    /// The processes that work below this directory or have a path in it among their arguments.
    pub(super) fn processes(&self) -> Vec<String> {
        let here = self.0.to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
            let directory = fs::read_link(process.path().join("cwd")).unwrap_or_default();
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let (id, line) = (process.path(), String::from_utf8_lossy(&line).into_owned());
            Some(format!("{} in {}: {line}", id.display(), directory.display()))
        });
        processes.filter(|process| process.contains(here)).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, Permissions::from_mode(0o755));
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binaries to test with. Without the variable, they are those of this machine.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
pub(super) fn pg_bin() -> Option<PathBuf> {
    env::var_os("PG_BIN").filter(|directory| !directory.is_empty()).map(PathBuf::from)
}

pub(super) fn server_pid(server_data: &Path) -> Option<u32> {
    cluster::recorded_server(&server_data.join("postgres/postmaster.pid"))
}

pub(super) fn ask(server: &PrivatePostgres, sql: &str) -> String {
    let binaries = Binaries::find(pg_bin().as_deref(), &server.data_dir().join("postgres"));
    let mut psql = Command::new(binaries.unwrap().program("psql"));
    psql.args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, &server.url("postgres")]);
    let output = psql.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn kill(pid: u32) {
    let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not true after 30 s: {what}");
        sleep(Duration::from_millis(2));
    }
}
