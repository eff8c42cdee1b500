//! The two files of calling services, and what was last read of them. A file that became wrong
//! changes nothing: what was read before stays in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::directory::KnownServices;
use super::grants::{self, Identities};
use super::token_file::{self, DEVELOPER, ListedToken};
use crate::auth::secret_files::{FileRefused, read_secret, read_trusted};

/// Where the calling services are listed.
#[derive(Clone, Debug, Default)]
pub struct ServiceFiles {
    /// The file of tokens. Without it, no token is valid.
    pub tokens: Option<PathBuf>,
    /// The file of grants. Without it, nothing is granted.
    pub grants: Option<PathBuf>,
    /// Whether the file of tokens can be a single token, which is that of the identity `dev`, and
    /// whether `dev` may do everything unless the grants say otherwise.
    pub development: bool,
}

/// What was read of a file.
#[derive(Default)]
struct LastRead<T> {
    /// The digest of the content, or why the file could not be read. The content itself can be a
    /// secret.
    seen: Option<Result<[u8; 32], String>>,
    /// What is in force.
    value: T,
}

impl<T> LastRead<T> {
    /// Reads the file at `path`. Returns whether there is something new.
    fn look(
        &mut self,
        path: &Path,
        read: fn(&Path) -> Result<Zeroizing<String>, FileRefused>,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<bool, String> {
        let text = read(path).map_err(|refused| refused.to_string());
        let seen = text.as_ref().map(|text| Sha256::digest(text.as_bytes()).into());
        let seen = seen.map_err(Clone::clone);
        if self.seen.as_ref() == Some(&seen) {
            return Ok(false);
        }
        self.seen = Some(seen);
        self.value = parse(&text?).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
        Ok(true)
    }
}

/// The files, and what is in force of each.
#[derive(Default)]
pub(super) struct FilesRead {
    files: ServiceFiles,
    tokens: LastRead<Vec<ListedToken>>,
    grants: LastRead<Identities>,
}

impl FilesRead {
    /// Reads both files for the first time.
    pub fn open(files: ServiceFiles) -> Result<Self, String> {
        let mut read = Self { files, ..Self::default() };
        read.look_at_tokens()?;
        read.look_at_grants()?;
        Ok(read)
    }

    /// Reads both files again. Returns whether there is something new, and logs what is wrong, once
    /// for each content.
    pub fn look(&mut self) -> bool {
        let looks = [self.look_at_tokens(), self.look_at_grants()];
        looks.map(|look| {
            look.unwrap_or_else(|wrong| {
                tracing::warn!("{wrong}; what was read before stays in force");
                false
            })
        }) != [false; 2]
    }

    fn look_at_tokens(&mut self) -> Result<bool, String> {
        let parse =
            if self.files.development { token_file::parse_of_dev } else { token_file::parse };
        let Some(path) = &self.files.tokens else { return Ok(false) };
        self.tokens.look(path, read_secret, parse)
    }

    fn look_at_grants(&mut self) -> Result<bool, String> {
        let Some(path) = &self.files.grants else { return Ok(false) };
        self.grants.look(path, read_trusted, grants::parse)
    }

    /// Returns the services that are in force.
    pub fn known_services(&self) -> KnownServices {
        if self.files.development && !self.grants.value.contains_key(DEVELOPER) {
            let mut identities = self.grants.value.clone();
            let everything = Arc::new(grants::everything(DEVELOPER));
            identities.insert(DEVELOPER.to_owned(), everything);
            return KnownServices::of(&self.tokens.value, &identities);
        }
        KnownServices::of(&self.tokens.value, &self.grants.value)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::ServiceToken;
    use super::*;

    #[test]
    fn a_wrong_file_is_reported_once_for_each_content_and_keeps_what_was_read() {
        let directory = std::env::temp_dir().join(format!("service-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("tokens");
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        let line = ServiceToken::new("secret").line("a", None);
        write(&line, 0o600);
        let files = ServiceFiles { tokens: Some(path.clone()), ..ServiceFiles::default() };
        let mut read = FilesRead::open(files).unwrap();
        assert_eq!((read.look_at_tokens(), read.tokens.value.len()), (Ok(false), 1));

        write("wrong", 0o600);
        let wrong = read.look_at_tokens().unwrap_err();
        assert!(wrong.starts_with(&format!("{}: line 1 is not NAME", path.display())), "{wrong}");
        assert_eq!((read.look_at_tokens(), read.tokens.value.len()), (Ok(false), 1));

        write(&line, 0o604);
        let wrong = read.look_at_tokens().unwrap_err();
        assert!(wrong.contains("can be read by every user"), "{wrong}");
        assert_eq!((read.look_at_tokens(), read.tokens.value.len()), (Ok(false), 1));

        fs::remove_file(&path).unwrap();
        let wrong = read.look_at_tokens().unwrap_err();
        assert!(wrong.contains("No such file"), "{wrong}");
        assert_eq!((read.look_at_tokens(), read.tokens.value.len()), (Ok(false), 1));

        write("", 0o600);
        assert_eq!((read.look_at_tokens(), read.tokens.value.len()), (Ok(true), 0));
        fs::remove_dir_all(&directory).unwrap();
    }
}
