//! The file that `DATABASE_URL_FILE` names. It is read again when it changes: new connections use
//! the user, the password and the files of TLS that it names, without a restart. A connection is
//! tried first. While there is none with the new content, the earlier content stays in force, and the
//! new one is tried again at each look: the password of the role may be changed a moment later.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::auth::secret_files::read_secret;
use crate::files::{ContentDigest, FollowedFile, Following};
use crate::storage::{DatabaseUrl, try_to_connect};

/// A file with the URL of the database.
#[derive(Clone)]
pub struct DatabaseUrlFile {
    path: PathBuf,
    url: DatabaseUrl,
    first: ContentDigest,
}

impl DatabaseUrlFile {
    /// Reads the file. The error is a sentence without its content.
    pub fn open(path: &Path) -> Result<Self, String> {
        let text = read_secret(path).map_err(|refused| refused.to_string())?;
        let url = parse(path, &text)?;
        Ok(Self { path: path.to_owned(), url, first: ContentDigest::of::<Self>(&text) })
    }

    /// Returns the URL. If another user or password is read later, the returned value has it, too.
    #[must_use]
    pub fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    /// Follows the file until `shutdown`.
    pub(super) async fn follow(self, following: Following, shutdown: CancellationToken) {
        let first = self.first;
        following.follow(self, first, shutdown).await;
    }
}

fn parse(path: &Path, text: &str) -> Result<DatabaseUrl, String> {
    let url = text.trim().parse();
    url.map_err(|error| format!("{}: the URL {error}", path.display()))
}

impl FollowedFile for DatabaseUrlFile {
    const NAME: &'static str = "database_url";
    const TRIED_AGAIN: bool = true;
    type Content = Zeroizing<String>;

    fn read(&self) -> Result<Zeroizing<String>, String> {
        read_secret(&self.path).map_err(|refused| refused.to_string())
    }

    fn parts(text: &Zeroizing<String>) -> Vec<&[u8]> {
        vec![text.as_bytes()]
    }

    fn apply(&self, text: Zeroizing<String>) -> Result<String, String> {
        let url = parse(&self.path, &text)?;
        let refused = |error| format!("{}: the URL {error}", self.path.display());
        self.url.require_same_database(&url).map_err(refused)?;
        // The file is looked at on a thread that may wait.
        Handle::current().block_on(try_to_connect(&url)).map_err(|why| {
            format!(
                "{}: no connection with this URL, which is tried again: {why}",
                self.path.display()
            )
        })?;
        self.url.replace(&url).map_err(refused)?;
        Ok(format!("{url:?}"))
    }
}

impl fmt::Debug for DatabaseUrlFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DatabaseUrlFile({}, {:?})", self.path.display(), self.url)
    }
}
