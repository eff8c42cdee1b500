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
    /// Ends an attempt to connect.
    shutdown: CancellationToken,
}

impl DatabaseUrlFile {
    /// Reads the file. The error is a sentence without its content.
    pub fn open(path: &Path) -> Result<Self, String> {
        let text = read_secret(path).map_err(|refused| refused.to_string())?;
        let url = parse(path, &text)?;
        let (first, shutdown) = (ContentDigest::of::<Self>(&text), CancellationToken::new());
        Ok(Self { path: path.to_owned(), url, first, shutdown })
    }

    /// Returns the URL. If another user or password is read later, the returned value has it, too.
    #[must_use]
    pub fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    /// Follows the file until `shutdown`.
    pub(super) async fn follow(self, following: Following, shutdown: CancellationToken) {
        let file = Self { shutdown: shutdown.clone(), ..self };
        let first = file.first;
        following.follow(file, first, shutdown).await;
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
        // The file is looked at on a thread that may wait. The end of the process does not wait.
        let tried = self.shutdown.run_until_cancelled(try_to_connect(&url));
        let tried = Handle::current().block_on(tried);
        let tried = tried.unwrap_or_else(|| Err("the process stops".to_owned()));
        tried.map_err(|why| {
            let path = self.path.display();
            format!("{path}: no connection with this URL, which is tried again: {why}")
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_shutdown_does_not_wait_for_a_database_that_is_being_tried() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let path = std::env::temp_dir().join(format!("database-url-{}", std::process::id()));
        write(&path, format!("postgres://first@{address}/cdn")).unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let file = DatabaseUrlFile::open(&path).unwrap();
        write(&path, format!("postgres://second@{address}/cdn")).unwrap();
        let metrics = Metrics::new(HashMap::new());
        let (every, outcomes) = (Duration::from_millis(10), metrics.file_outcomes());
        let shutdown = CancellationToken::new();
        let following = Following { every, outcomes };
        let followed = tokio::spawn(file.follow(following, shutdown.clone()));
        let _tried = silent.accept().await.unwrap();
        shutdown.cancel();
        // Without an end, the attempt takes 5 s.
        timeout(Duration::from_secs(4), followed).await.expect("ended").unwrap();
        let line = r#"followed_files_refused{file="database_url"} 0"#;
        assert!(metrics.render().lines().any(|said| said == line), "it is not reported");
        std::fs::remove_file(&path).unwrap();
    }
}
