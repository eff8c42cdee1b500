//! The files of `dev`'s data directory besides the database: the key that seals secrets and the
//! token of calling services. They are made once and readable for their owner only.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use private_postgres::choose_data_dir;

use crate::auth::secret::{SealingKey, ServiceToken};
use crate::config::SharedSettings;

/// Where the state is kept unless `dev` is told.
const DEFAULT: &str = ".dev";
/// Where root keeps it when the user that PostgreSQL runs as cannot reach the default.
const FALLBACK: &str = "/var/lib/cdn-activation/dev";

/// Where the key and the token are.
pub(super) struct Keys {
    /// The key that seals secrets at rest.
    pub sealing_key: PathBuf,
    /// The token of calling services.
    pub service_token: PathBuf,
}

impl Keys {
    /// The files that the settings name, or those of the data directory, which are made where they
    /// are missing.
    pub fn make(data_dir: &Path, shared: &SharedSettings) -> anyhow::Result<Self> {
        let sealing_key = match &shared.sealing_key_file {
            Some(path) => path.clone(),
            None => make(data_dir.join("sealing-key"), &SealingKey::generate()?)?,
        };
        let service_token = match &shared.service_token_file {
            Some(path) => path.clone(),
            None => make(data_dir.join("service-token"), &ServiceToken::generate()?)?,
        };
        Ok(Self { sealing_key, service_token })
    }
}

/// Makes a file with this line, unless it is there. Written beside and renamed: a file that is
/// there is whole.
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

/// The directory that was given, or the default one. PostgreSQL's start makes what is missing of it:
/// that alone knows which user has to enter it.
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
