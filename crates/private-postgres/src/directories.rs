//! The directories of one server: which there are, who owns them, and which are removed.
//!
//! The data directory keeps its owner, because it contains other files too. Only the cluster and
//! the socket directory below it belong to the user that the server runs as.

use super::Durability;
use super::error::{StartError, cannot};
use super::user::ServerUser;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, path, process};

/// PostgreSQL derives the name of the socket file from the port.
pub(super) const PORT: u16 = 5432;
const SOCKET: &str = ".s.PGSQL.5432";

/// The kernel allows 107 bytes on Linux and 103 on others.
const LONGEST_SOCKET_PATH: usize = 100;

/// A data directory that was chosen for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    /// The directory; it exists.
    pub path: PathBuf,
    /// Whether it is the fallback, because the server's user cannot reach the preferred one.
    pub fell_back: bool,
}

/// Chooses a data directory and creates it. It is the preferred one, unless this process is root
/// and the unprivileged user that the server runs as cannot reach it, for example below a closed
/// home directory.
///
/// # Errors
///
/// Fails if the directory cannot be created, or if there is no user to run the server as.
pub fn choose_data_dir(preferred: &Path, fallback: &Path) -> Result<DataDir, StartError> {
    let preferred = absolute(preferred)?;
    let user = ServerUser::of_cluster(&cluster_in(&preferred))?;
    let fell_back = !user.can_reach(&existing_part(&preferred)?)?;
    let path = if fell_back { fallback.to_owned() } else { preferred };
    make_open(&path, &user)?;
    Ok(DataDir { path, fell_back })
}

/// The cluster's place in a data directory: `PGDATA`.
pub(super) fn cluster_in(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// Returns the absolute path, because the server changes its working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, StartError> {
    path::absolute(path).map_err(cannot("find", path))
}

/// The directories of one server. Dropping it, once the server has ended, removes those of this run
/// that the server's user could not remove.
#[derive(Debug)]
pub(super) struct Directories {
    data_dir: PathBuf,
    socket_dir: PathBuf,
    throwaway: bool,
}

impl Directories {
    /// Makes what is missing and checks what exists. `data_dir` is absolute.
    pub(super) fn prepare(
        data_dir: &Path,
        durability: Durability,
        user: &ServerUser,
    ) -> Result<Self, StartError> {
        let throwaway = durability == Durability::Throwaway;
        let data_dir = if throwaway {
            make_new(data_dir, user)?
        } else {
            user.must_reach(&existing_part(data_dir)?, data_dir)?;
            make_open(data_dir, user)?;
            existing_part(data_dir)?
        };
        let socket_dir = data_dir.join("socket");
        let mut directories = Self { data_dir, socket_dir, throwaway };
        if socket_fits(&directories.socket_dir) {
            own_private(&directories.socket_dir, user)?;
        } else {
            directories.socket_dir = make_short(user)?;
        }
        Ok(directories)
    }

    /// The directory that was asked for, from the root on and without links.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The cluster: `PGDATA`.
    pub(super) fn cluster(&self) -> PathBuf {
        cluster_in(&self.data_dir)
    }

    /// Where the cluster is made, so that an interrupted `initdb` is never taken for a cluster.
    pub(super) fn unfinished_cluster(&self) -> PathBuf {
        self.data_dir.join("postgres.new")
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    /// The directory of the socket. A user who can enter it can connect.
    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Whether the data directory was made for this run and is removed with it.
    pub(super) fn is_throwaway(&self) -> bool {
        self.throwaway
    }

    /// Whether the socket directory was made for this run and is removed with it.
    pub(super) fn has_passing_socket_dir(&self) -> bool {
        self.throwaway || !self.socket_dir.starts_with(&self.data_dir)
    }

    /// Removes the socket of a server that was killed: Postgres would refuse to start when the
    /// process number in the lock beside it is in use again, as is usual in containers.
    pub(super) fn remove_stale_socket(&self) -> Result<(), StartError> {
        for name in [SOCKET.to_owned(), format!("{SOCKET}.lock")] {
            remove_file(&self.socket_dir.join(name))?;
        }
        Ok(())
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        // The watchdog has removed everything that it may. What can be left is the log of a start
        // that failed early, and empty directories in a directory that the server's user may not
        // write to. Directories that are not empty are kept: `remove_dir` refuses them.
        if self.throwaway {
            let _ = fs::remove_file(self.log());
        }
        if self.has_passing_socket_dir() {
            let _ = fs::remove_dir(&self.socket_dir);
        }
        if self.throwaway {
            let _ = fs::remove_dir(&self.data_dir);
        }
    }
}

/// Removes a file, if it exists.
pub(super) fn remove_file(path: &Path) -> Result<(), StartError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Returns the part of an absolute path that exists and can be entered, without links.
fn existing_part(path: &Path) -> Result<PathBuf, StartError> {
    let existing = path.ancestors().find(|part| part.is_dir()).unwrap_or(path);
    fs::canonicalize(existing).map_err(cannot("enter", existing))
}

/// Makes a directory and its parents, so that the server's user can enter them.
fn make_open(path: &Path, user: &ServerUser) -> Result<(), StartError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_open(parent, user)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(cannot("create", path)(error)),
        // With a strict umask of root, the server's user could not enter it.
        Ok(()) if user.is_another() => set_mode(path, 0o755),
        Ok(()) => Ok(()),
    }
}

/// Makes the directory of a throwaway server. It must not exist, because everything in it is
/// removed at the end.
fn make_new(path: &Path, user: &ServerUser) -> Result<PathBuf, StartError> {
    let parent = path.parent().unwrap_or(path);
    let parent = fs::canonicalize(parent).map_err(cannot("enter", parent))?;
    user.must_reach(&parent, path)?;
    let path = parent.join(path.file_name().unwrap_or_default());
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(StartError::NotNew { directory: path });
        }
        made => made.map_err(cannot("create", &path))?,
    }
    user.give(&path).inspect_err(|_| drop(fs::remove_dir(&path)))?;
    Ok(path)
}

/// Makes a directory that only the server's user may enter, or uses the existing one.
fn own_private(path: &Path, user: &ServerUser) -> Result<(), StartError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(cannot("create", path))?,
    }
    set_mode(path, 0o700)?;
    user.give(path)
}

/// Makes a new socket directory with a short path, below the directory for temporary files.
fn make_short(user: &ServerUser) -> Result<PathBuf, StartError> {
    let mut last = PathBuf::new();
    for place in [env::temp_dir(), PathBuf::from("/tmp")] {
        last = fs::canonicalize(&place).unwrap_or(place);
        // Names that an earlier process with our number has left behind are skipped.
        for attempt in 0..100 {
            let path = last.join(format!("private-postgres-{}-{attempt}", process::id()));
            if !socket_fits(&path) || !user.can_reach(&last)? {
                break;
            }
            if DirBuilder::new().mode(0o700).create(&path).is_ok() {
                user.give(&path).inspect_err(|_| drop(fs::remove_dir(&path)))?;
                return Ok(path);
            }
        }
    }
    Err(StartError::NoSocketDirectory { directory: last })
}

/// Whether a socket in the directory has a path that the kernel accepts, that a URL can contain,
/// and that server and clients do not read as a list.
fn socket_fits(directory: &Path) -> bool {
    let path = directory.join(SOCKET);
    path.to_str().is_some_and(|path| path.len() <= LONGEST_SOCKET_PATH && !path.contains(','))
}

/// Sets the permissions of something that we made.
fn set_mode(path: &Path, mode: u32) -> Result<(), StartError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(cannot("change", path))
}
