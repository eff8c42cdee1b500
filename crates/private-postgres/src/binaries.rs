//! Finds `initdb` and `postgres` on this machine. Nothing is downloaded.

use super::error::{StartError, cannot};
use super::user::is_missing;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version the schema is written for.
const OLDEST: u32 = 14;

/// Where Debian and Ubuntu keep the servers, one directory per major version, outside of `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A directory with server binaries of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds binaries for the cluster `data`: those of `PG_BIN` and nothing else when it is set,
    /// otherwise the newest that are installed. A cluster that exists already is bound to the
    /// major version that made it.
    pub(super) fn find(pg_bin: Option<&Path>, data: &Path) -> Result<Self, StartError> {
        let needed = version_of(data)?;
        let candidates = match pg_bin {
            None => installed(),
            Some(directory) => {
                let unusable = || StartError::UnusableBinaries { directory: directory.to_owned() };
                vec![Self::at(directory).ok_or_else(unusable)?]
            }
        };
        let fits = |binaries: &Binaries| needed.is_none_or(|major| major == binaries.major);
        candidates.into_iter().find(fits).ok_or_else(|| match needed {
            Some(needed) => StartError::OtherVersion { data: data.to_owned(), needed },
            None => StartError::NoBinaries,
        })
    }

    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The binaries in `directory`, if there are any and they are new enough.
    fn at(directory: &Path) -> Option<Self> {
        let directory = fs::canonicalize(directory).ok()?;
        if !directory.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        (major >= OLDEST).then_some(Self { directory, major })
    }
}

/// The binaries in the usual places, the newest first.
fn installed() -> Vec<Binaries> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let places = versions.map(|version| version.path().join("bin"));
    let mut found: Vec<Binaries> = places.filter_map(|place| Binaries::at(&place)).collect();
    found.sort_by_key(|binaries| Reverse(binaries.major));
    found.extend(on_path().and_then(|place| Binaries::at(&place)));
    found
}

/// The directory of the `postgres` that a shell would run.
fn on_path() -> Option<PathBuf> {
    // The shell searches PATH, because the program reads its environment in one place only.
    let output = Command::new("/bin/sh").args(["-c", "command -v postgres"]).output().ok()?;
    let line = output.stdout.split(|byte| *byte == b'\n').next()?;
    // PATH may contain a link to this program without the others.
    let program = fs::canonicalize(OsStr::from_bytes(line)).ok()?;
    Some(program.parent()?.to_owned())
}

/// Reads the 15 of `postgres (PostgreSQL) 15.18 (Debian …)`. A beta answers `19beta1`.
fn major_of(answer: &str) -> Option<u32> {
    let version = answer.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The major version that made the cluster `data`; `None` when there is no cluster.
fn version_of(data: &Path) -> Result<Option<u32>, StartError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(StartError::NotACluster { data: data.to_owned() }),
        },
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(cannot("read", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("something else 15"), None);
    }
}
