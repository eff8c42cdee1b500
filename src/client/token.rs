//! The token of the calling service, in a file that is read again when it is some seconds old.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tonic::metadata::{Ascii, MetadataValue};

use super::failure::ClientSettingsError;

/// How old what was read may become.
pub(super) const LOOK: Duration = Duration::from_secs(3);

/// The value of `authorization` with the token of a file.
#[derive(Debug)]
pub(super) struct BearerFile {
    path: PathBuf,
    read: Mutex<(Instant, MetadataValue<Ascii>)>,
}

impl BearerFile {
    /// Reads the file for the first time.
    pub fn open(path: PathBuf) -> Result<Self, ClientSettingsError> {
        let value = read(&path).map_err(ClientSettingsError)?;
        Ok(Self { path, read: Mutex::new((Instant::now(), value)) })
    }

    /// Returns the value. If the file cannot be read any more, it is the one that was read last.
    pub async fn value(&self) -> MetadataValue<Ascii> {
        let (at, value) = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if at.elapsed() < LOOK {
            return value;
        }
        let path = self.path.clone();
        let newer = spawn_blocking(move || read(&path)).await;
        let newer = newer.ok().and_then(Result::ok).unwrap_or(value);
        let read = (Instant::now(), newer.clone());
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = read;
        newer
    }
}

/// Reads a token. The error does not show it.
fn read(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(format!("{shown} is not a token; expected one line with one word"));
    }
    let mut value = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| format!("{shown} is not a token; expected visible ASCII characters"))?;
    value.set_sensitive(true);
    Ok(value)
}
