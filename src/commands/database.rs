//! Reads the URL of the database from where the settings say.

use anyhow::anyhow;

use crate::config::{UrlSource, named};
use crate::server::DatabaseUrlFile;
use crate::storage::DatabaseUrl;

/// The database of a command.
#[derive(Debug)]
pub(super) struct OpenedDatabase {
    /// Its address.
    pub url: DatabaseUrl,
    /// The file with the address, if it is in one.
    pub file: Option<DatabaseUrlFile>,
}

impl OpenedDatabase {
    /// Reads the address. The argument is what the settings say about it: the place, or a sentence.
    pub fn open(source: Result<UrlSource, String>) -> anyhow::Result<Self> {
        match source.map_err(|sentence| anyhow!(sentence))? {
            UrlSource::Setting { variable, url } => {
                let url = url.expose().parse();
                let url = url.map_err(|error| anyhow!("{} {error}", named(variable)))?;
                Ok(Self { url, file: None })
            }
            UrlSource::File { variable, path } => {
                let file = DatabaseUrlFile::open(&path);
                let file = file.map_err(|why| anyhow!("{}: {why}", named(variable)))?;
                Ok(Self { url: file.url(), file: Some(file) })
            }
        }
    }
}
