//! The cluster, PostgreSQL's directory of data: created once, and cleaned of the traces of a dead
//! server.

use super::binaries::Binaries;
use super::directories::{Directories, remove_file};
use super::error::{StartError, cannot};
use super::log::Log;
use super::user::ServerUser;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Makes the cluster if there is none. It is made under another name and renamed when it is
/// complete, so that an `initdb` that was killed never blocks a later start.
pub(super) fn make_if_missing(
    directories: &Directories,
    binaries: &Binaries,
    user: &ServerUser,
    log: &Log,
) -> Result<(), StartError> {
    let cluster = directories.cluster();
    if cluster.join("PG_VERSION").is_file() {
        return Ok(());
    }
    if fs::read_dir(&cluster).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(StartError::NotACluster { data: cluster });
    }
    let unfinished = directories.unfinished_cluster();
    remove_leftover(&unfinished)?;
    DirBuilder::new().mode(0o700).create(&unfinished).map_err(cannot("create", &unfinished))?;
    user.give(&unfinished)?;
    let mut initdb = user.command(binaries.program("initdb"));
    // `initdb` would create a directory again that the watchdog has removed after our end, but it
    // does not create its working directory.
    initdb.current_dir(&unfinished).args(["-D", ".", "--username=postgres", "--auth=trust"]);
    initdb.args(["--encoding=UTF8", "--no-locale", "--no-instructions"]);
    if directories.is_throwaway() {
        initdb.arg("--no-sync");
    }
    initdb.stdout(log.output()?).stderr(log.output()?);
    let status = initdb.status().map_err(cannot("run", &binaries.program("initdb")))?;
    if !status.success() {
        return Err(StartError::Initialise { log: log.tail() });
    }
    fs::rename(&unfinished, &cluster).map_err(cannot("rename", &unfinished))
}

/// Removes what an interrupted `initdb` left. No process writes to it any more, because we hold the
/// lock.
fn remove_leftover(unfinished: &Path) -> Result<(), StartError> {
    match fs::remove_dir_all(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(cannot("remove", unfinished)(error))
        }
        _ => Ok(()),
    }
}

/// Removes the `postmaster.pid` of a server that was killed. A server that really runs (it was
/// not started by us, or it would hold the lock) may take until `deadline` to end.
pub(super) fn clear_dead_server(cluster: &Path, deadline: Instant) -> Result<(), StartError> {
    let path = cluster.join("postmaster.pid");
    while let Some(pid) = recorded_server(&path) {
        if !is_server_of(pid, cluster) {
            break;
        }
        if Instant::now() >= deadline {
            let directory = cluster.to_owned();
            return Err(StartError::InUse { directory, process: format!(" (process {pid})") });
        }
        sleep(Duration::from_millis(50));
    }
    remove_file(&path)
}

/// The process number in a `postmaster.pid`, if there is such a file and it is complete.
pub(super) fn recorded_server(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether the server says that it accepts connections.
pub(super) fn is_ready(cluster: &Path) -> bool {
    let state = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    state.lines().nth(7).is_some_and(|line| matches!(line.trim(), "ready" | "standby"))
}

/// Whether a process with this number lives and is a server on this cluster. Numbers are used
/// again, in containers very soon.
pub(super) fn is_server_of(pid: u32, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    // Root in a container may not look at another user's working directory, but at its arguments.
    let works_there =
        fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == cluster);
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    works_there || arguments.any(|argument| argument == cluster.as_os_str().as_bytes())
}
