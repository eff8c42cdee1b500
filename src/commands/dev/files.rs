//! The files in the data directory of `dev` beside the database: the sealing key and the token of
//! calling services. They are created once, and only their owner can read them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use private_postgres::choose_data_dir;

use crate::auth::sealing::SealingKey;
use crate::auth::services::ServiceToken;
use crate::config::SharedSettings;

/// The default data directory.
const DEFAULT: &str = ".dev";
/// The data directory for root, if the user that PostgreSQL runs as cannot reach the default one.
const FALLBACK: &str = "/var/lib/cdn-activation/dev";

/// The paths of the sealing key and the token.
pub(super) struct Keys {
    /// The sealing key.
    pub sealing_key: PathBuf,
    /// The token of calling services.
    pub service_token: PathBuf,
}

impl Keys {
    /// Returns the files that the settings name, or those of the data directory, which are created
    /// if they are missing.
    pub fn make(data_dir: &Path, shared: &SharedSettings) -> anyhow::Result<Self> {
        let sealing_key = match &shared.sealing_key_file {
            Some(path) => path.clone(),
            None => make(data_dir.join("sealing-key"), &SealingKey::generate()?)?,
        };
        let service_token = match &shared.callers.service_token_file {
            Some(path) => path.clone(),
            None => make(data_dir.join("service-token"), ServiceToken::generate()?.expose())?,
        };
        Ok(Self { sealing_key, service_token })
    }
}

/// Creates a file with this line, unless it exists. The file is written under another name and
/// renamed, so that a file that exists is complete.
fn make(path: PathBuf, line: &str) -> anyhow::Result<PathBuf> {
    if path.exists() {
        return Ok(path);
    }
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| writeln!(file, "{line}").and_then(|()| file.sync_all()));
    written.with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Returns the directory that was given, or the default one. It need not exist: the start of
/// PostgreSQL creates it, because only that code knows which user has to enter it.
pub(super) fn data_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(std::path::absolute(given)?);
    }
    let default = choose_data_dir(Path::new(DEFAULT), Path::new(FALLBACK))?;
    if default.fell_back {
        let path = default.path.display();
        tracing::warn!(
            "the user that runs PostgreSQL cannot reach this directory: the state is kept in {path}"
        );
    }
    Ok(default.path)
}
