//! Why a private server could not be started or has ended, each reason as one sentence that says
//! what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why no private PostgreSQL is running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing usable is installed.
    #[error(
        "no PostgreSQL server of version 14 or newer was found: install it (on Debian or Ubuntu \
         `apt-get install postgresql`, elsewhere the package with initdb and postgres), or set \
         PG_BIN to the directory that holds initdb and postgres"
    )]
    NoBinaries,
    /// `PG_BIN` was set, and what it names is of no use.
    #[error(
        "PG_BIN names {directory}, which does not hold a working initdb and postgres of version \
         14 or newer: correct it, or unset it to use an installed PostgreSQL"
    )]
    UnusableBinaries {
        /// What `PG_BIN` says.
        directory: PathBuf,
    },
    /// The data was written by another major version, which is not installed.
    #[error(
        "{data} was made by PostgreSQL {needed}, which was not found: install that version, set \
         PG_BIN to its binaries, or choose another data directory"
    )]
    OtherVersion {
        /// The existing data.
        data: PathBuf,
        /// The major version that wrote it.
        needed: u32,
    },
    /// Root needs an unprivileged user to run the server as, and there is none.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor a \
         user `nobody` to run it as: start this as an ordinary user"
    )]
    NoAccount,
    /// Root may not become the unprivileged user (a restricted container, for example).
    #[error(
        "PostgreSQL refuses to run as root, and root cannot become the user `{user}` here \
         ({reason}): start this as an ordinary user"
    )]
    CannotBecome {
        /// The unprivileged user.
        user: String,
        /// What the system said. It is part of the sentence, and therefore not the source of the
        /// error.
        reason: io::Error,
    },
    /// The unprivileged user cannot get to the data directory.
    #[error(
        "PostgreSQL has to run as the user `{user}`, who cannot enter {closed}: choose a data \
         directory that every user can reach instead of {directory}, or start this as an ordinary \
         user"
    )]
    Unreachable {
        /// The unprivileged user.
        user: String,
        /// The directory that was asked for.
        directory: PathBuf,
        /// The part of its path where the user is stopped.
        closed: PathBuf,
    },
    /// `initdb` does not run as a user that has no name.
    #[error(
        "the user {uid} has no name on this machine, and PostgreSQL makes its data for users with \
         one only: add a line for {uid} to /etc/passwd, or start this as a user that has a name"
    )]
    Nameless {
        /// The user's number.
        uid: u32,
    },
    /// The data belongs to another user, and only root could act as its owner.
    #[error(
        "{data} belongs to the user `{owner}`: start this as that user or as root, or choose \
         another data directory"
    )]
    ForeignOwner {
        /// The existing data.
        data: PathBuf,
        /// Its owner's name, or the number of a user without a name.
        owner: String,
    },
    /// The data belongs to root, and PostgreSQL does not run as root.
    #[error(
        "{data} belongs to root, as whom PostgreSQL refuses to run: give it to another user with \
         `chown -R`, or choose another data directory"
    )]
    OwnedByRoot {
        /// The existing data.
        data: PathBuf,
    },
    /// The directory of the data contains something else.
    #[error(
        "{data} is not empty and holds no PostgreSQL data: move it away, or choose another data \
         directory"
    )]
    NotACluster {
        /// What is in the way.
        data: PathBuf,
    },
    /// A throwaway server removes its directory, so it does not use an existing one.
    #[error("{directory} exists already: a throwaway server needs a name that is not taken")]
    NotNew {
        /// The directory that was asked for.
        directory: PathBuf,
    },
    /// A server is running in the data directory and does not end.
    #[error(
        "another server is using {directory}{process}: stop it, or choose another data directory"
    )]
    InUse {
        /// The directory that was asked for.
        directory: PathBuf,
        /// Which process it is, as a part of the sentence. Empty if it is unknown.
        process: String,
    },
    /// The path of the socket would be too long in every possible place.
    #[error(
        "the path of the server's socket would be too long below {directory}: choose a shorter \
         data directory, or set TMPDIR to a short path that every user can reach"
    )]
    NoSocketDirectory {
        /// The last place that was tried.
        directory: PathBuf,
    },
    /// `initdb` failed.
    #[error("PostgreSQL could not create its data directory; initdb said: {log}")]
    Initialise {
        /// The last lines of its output.
        log: String,
    },
    /// The server ended instead of becoming ready.
    #[error("PostgreSQL ended while it was starting; the end of its log: {log}")]
    Ended {
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but does not become ready.
    #[error("PostgreSQL did not become ready within {seconds} s; the end of its log: {log}")]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The server ran, and was not stopped by us.
    #[error(
        "the PostgreSQL of {directory} has ended by itself or was killed; what was committed is \
         kept: start this again ({log} may say why)"
    )]
    Died {
        /// The data directory.
        directory: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {action} {path}: {reason}")]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the system said. It is part of the sentence, and therefore not the source of the
        /// error.
        reason: io::Error,
    },
}

/// Names what was tried when the system refuses it: `.map_err(cannot("open", path))`.
pub(super) fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |reason| StartError::System { action, path, reason }
}
