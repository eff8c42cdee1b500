//! The user that the server runs as: the current user or, because PostgreSQL refuses to run as
//! root, an unprivileged user if the current one is root.

use super::error::{StartError, cannot};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The users that run the server for root. The first that exists is used; `nobody` exists nearly
/// everywhere.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The variables of this process that PostgreSQL's programs and clients read: `PGHOST`, `PGDATA`,
/// `PGOPTIONS` and so on. They belong to another server than the private one. `PG_BIN` is not one.
pub fn misleading_variables() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| {
        let name = name.as_bytes();
        name.starts_with(b"PG") && !name.starts_with(b"PG_")
    })
}

/// The user that the server runs as. `None` is the current user.
#[derive(Debug)]
pub(super) struct ServerUser(Option<Account>);

/// One user of this machine.
#[derive(Debug)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl ServerUser {
    /// Decides which user runs a server on the cluster `data`, which need not exist yet.
    pub(super) fn of_cluster(data: &Path) -> Result<Self, StartError> {
        let owner = match fs::metadata(data) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(cannot("look at", data)(error)),
        };
        let accounts = accounts();
        let named = |uid| accounts.iter().find(|account| account.uid == uid);
        match (effective_uid()?, owner) {
            (0, Some((0, _))) => Err(StartError::OwnedByRoot { data: data.to_owned() }),
            (0, Some((uid, gid))) => {
                let gid = named(uid).map_or(gid, |account| account.gid);
                Ok(Self(Some(Account { name: name_of(uid, &accounts), uid, gid })))
            }
            (0, None) => unprivileged(accounts).map(|account| Self(Some(account))),
            (ourselves, Some((uid, _))) if uid != ourselves => Err(StartError::ForeignOwner {
                data: data.to_owned(),
                owner: name_of(uid, &accounts),
            }),
            (ourselves, None) => must_have_a_name(ourselves).map(|()| Self(None)),
            _ => Ok(Self(None)),
        }
    }

    /// Whether the server runs as another user than this process.
    pub(super) fn is_another(&self) -> bool {
        self.0.is_some()
    }

    /// A command that runs as this user, in a directory and a locale that every user can use.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // Our own directory may be closed to that user.
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C").env("TZ", "UTC");
        for variable in misleading_variables() {
            command.env_remove(variable);
        }
        if let Some(account) = &self.0 {
            // std gives up root's supplementary groups as well when it changes the uid.
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    /// Gives a file or directory that we made to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), StartError> {
        let Some(account) = &self.0 else {
            return Ok(());
        };
        chown(path, Some(account.uid), Some(account.gid)).map_err(cannot("give away", path))
    }

    /// Refuses `directory` when this user cannot enter `part`, which leads to it. `part` is
    /// absolute and has no links.
    pub(super) fn must_reach(&self, part: &Path, directory: &Path) -> Result<(), StartError> {
        let Some(account) = &self.0 else {
            return Ok(());
        };
        let Some(closed) = self.stopped_at(part)? else {
            return Ok(());
        };
        let (user, directory) = (account.name.clone(), directory.to_owned());
        Err(StartError::Unreachable { user, directory, closed })
    }

    /// Whether this user can enter `path`.
    pub(super) fn can_reach(&self, path: &Path) -> Result<bool, StartError> {
        Ok(self.stopped_at(path)?.is_none())
    }

    /// Where on the way to `path` this user is stopped, if at all.
    fn stopped_at(&self, path: &Path) -> Result<Option<PathBuf>, StartError> {
        if !self.is_another() || self.can_enter(path)? {
            return Ok(None);
        }
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        for part in way {
            if !self.can_enter(part)? {
                return Ok(Some(part.to_owned()));
            }
        }
        Ok(None) // opened to that user since the first look
    }

    /// Tries to enter, because mode bits do not cover access lists and network file systems.
    fn can_enter(&self, path: &Path) -> Result<bool, StartError> {
        let mut command = self.command("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(path);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) => Ok(status.success()),
            Err(source) => Err(self.cannot_run(source)),
        }
    }

    /// The reason why `/bin/sh` could not even be started.
    pub(super) fn cannot_run(&self, reason: io::Error) -> StartError {
        match &self.0 {
            Some(account) => StartError::CannotBecome { user: account.name.clone(), reason },
            None => cannot("run", Path::new("/bin/sh"))(reason),
        }
    }
}

/// The current user. std has no function for it, but POSIX has a program.
fn effective_uid() -> Result<u32, StartError> {
    let program = Path::new("id");
    let output = Command::new(program).arg("-u").output().map_err(cannot("run", program))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    answer.trim().parse().map_err(|_| cannot("understand", program)(io::Error::other(answer)))
}

/// Refuses a user whose number has no name, which is possible in a container: `initdb` needs the
/// name, whatever its arguments are. A server on an existing cluster does not.
fn must_have_a_name(uid: u32) -> Result<(), StartError> {
    let program = Path::new("id");
    let output = Command::new(program).arg("-un").output().map_err(cannot("run", program))?;
    if output.status.success() { Ok(()) } else { Err(StartError::Nameless { uid }) }
}

/// Whether a path does not exist, or cannot exist because a part of it is a file.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The users of `/etc/passwd`. If the file does not exist, no users are known.
fn accounts() -> Vec<Account> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().filter_map(account).collect()
}

/// Reads `name:password:uid:gid:…`.
fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid })
}

/// The user that runs a server on a new cluster for root.
fn unprivileged(accounts: Vec<Account>) -> Result<Account, StartError> {
    let rank = |account: &Account| UNPRIVILEGED.iter().position(|name| *name == account.name);
    let candidates = accounts.into_iter().filter(|account| account.uid != 0);
    let ranked = candidates.filter_map(|account| Some((rank(&account)?, account)));
    let first = ranked.min_by_key(|(rank, _)| *rank);
    first.map(|(_, account)| account).ok_or(StartError::NoAccount)
}

/// A user's name, or its number if it has no name.
fn name_of(uid: u32, accounts: &[Account]) -> String {
    let account = accounts.iter().find(|account| account.uid == uid);
    account.map_or_else(|| uid.to_string(), |account| account.name.clone())
}
