//! The server's log, which is also the lock of the data directory.
//!
//! All processes of a server (watchdog, initdb, server) write to the log through the file that was
//! locked here, and a lock lasts until the last of them has ended. The holder of the lock therefore
//! knows that no predecessor is left, not even one whose owner was killed.

use super::error::{StartError, cannot};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many bytes from the end are looked at for the last lines, and how many lines are shown.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 8;

/// The log, locked by us.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Opens, locks and empties the log. With `fresh` there must not be one yet: a directory
    /// that was given to another user could hold a link in its place. `None` means that another
    /// server still had it at `deadline`.
    pub(super) fn take(
        path: &Path,
        fresh: bool,
        deadline: Instant,
    ) -> Result<Option<Self>, StartError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).create_new(fresh).mode(0o600);
        let file = options.open(path).map_err(cannot("open", path))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)),
                Err(TryLockError::Error(error)) => return Err(cannot("lock", path)(error)),
            }
        }
        file.set_len(0).map_err(cannot("empty", path))?;
        Ok(Some(Self { file, path: path.to_owned() }))
    }

    /// Returns the log as the output of a child, which then shares the lock.
    pub(super) fn output(&self) -> Result<Stdio, StartError> {
        let file = self.file.try_clone().map_err(cannot("open", &self.path))?;
        Ok(file.into())
    }

    /// Returns the last lines, even if the file itself has been removed.
    pub(super) fn tail(&self) -> String {
        let bytes = self.last_bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.trim().lines().collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        if lines.is_empty() { "(nothing)".to_owned() } else { lines[first..].join("\n") }
    }

    /// Reads without moving the position, which the writers share.
    fn last_bytes(&self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        let start = length.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length - start).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}
