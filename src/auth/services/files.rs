//! The two files of calling services. A file that became wrong changes nothing: what was read before
//! stays in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::directory::Services;
use super::{grants, token_file};
use crate::auth::secret_files::{read_secret, read_trusted};
use crate::files::{ContentDigest, FollowedFile, open};

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

/// The files that are followed, each with the digest of what was read of it first.
#[derive(Default)]
pub(super) struct FilesOfServices {
    pub tokens: Option<(TokensFile, ContentDigest)>,
    pub grants: Option<(GrantsFile, ContentDigest)>,
}

/// A file that cannot be used. The text is a sentence without the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum ServiceFileError {
    /// The file of tokens.
    #[error("{0}")]
    Tokens(String),
    /// The file of grants.
    #[error("{0}")]
    Grants(String),
}

impl FilesOfServices {
    /// Reads both files for the first time.
    pub fn open(files: ServiceFiles, services: &Arc<Services>) -> Result<Self, ServiceFileError> {
        let tokens = files.tokens.map(|path| {
            let services = Arc::clone(services);
            let file = TokensFile { path, development: files.development, services };
            let first = open(&file).map_err(ServiceFileError::Tokens)?;
            Ok::<_, ServiceFileError>((file, first))
        });
        let grants = files.grants.map(|path| {
            let file = GrantsFile { path, services: Arc::clone(services) };
            let first = open(&file).map_err(ServiceFileError::Grants)?;
            Ok::<_, ServiceFileError>((file, first))
        });
        Ok(Self { tokens: tokens.transpose()?, grants: grants.transpose()? })
    }
}

fn about(path: &Path) -> impl FnOnce(String) -> String {
    let path = path.display();
    move |wrong| format!("{path}: {wrong}")
}

/// The file of tokens.
#[derive(Clone)]
pub(super) struct TokensFile {
    path: PathBuf,
    development: bool,
    services: Arc<Services>,
}

impl FollowedFile for TokensFile {
    const NAME: &'static str = "tokens";
    type Content = Zeroizing<String>;

    fn read(&self) -> Result<Zeroizing<String>, String> {
        read_secret(&self.path).map_err(|refused| refused.to_string())
    }

    fn parts(text: &Zeroizing<String>) -> Vec<&[u8]> {
        vec![text.as_bytes()]
    }

    fn apply(&self, text: Zeroizing<String>) -> Result<String, String> {
        let parse = if self.development { token_file::parse_of_dev } else { token_file::parse };
        let tokens = parse(&text).map_err(about(&self.path))?;
        let said = format!("{} tokens", tokens.len());
        self.services.change(|listed| listed.tokens = tokens);
        Ok(said)
    }
}

/// The file of grants.
#[derive(Clone)]
pub(super) struct GrantsFile {
    path: PathBuf,
    services: Arc<Services>,
}

impl FollowedFile for GrantsFile {
    const NAME: &'static str = "grants";
    type Content = Zeroizing<String>;

    fn read(&self) -> Result<Zeroizing<String>, String> {
        read_trusted(&self.path).map_err(|refused| refused.to_string())
    }

    fn parts(text: &Zeroizing<String>) -> Vec<&[u8]> {
        vec![text.as_bytes()]
    }

    fn apply(&self, text: Zeroizing<String>) -> Result<String, String> {
        let identities = grants::parse(&text).map_err(about(&self.path))?;
        let said = format!("{} identities", identities.len());
        self.services.change(|listed| listed.identities = identities);
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::ServiceToken;
    use super::*;
    use crate::domain::Time;

    #[test]
    fn a_wrong_file_is_described_and_keeps_what_was_read() {
        let directory = std::env::temp_dir().join(format!("service-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("tokens");
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        let line = ServiceToken::new("secret").line("a", None);
        write(&line, 0o600);
        let services = Arc::new(Services::default());
        let file =
            TokensFile { path: path.clone(), development: false, services: services.clone() };
        let look = || file.read().and_then(|text| file.apply(text));
        let is_known = || services.of_token("secret", || Time::UNIX_EPOCH).is_some();
        assert_eq!((look().as_deref(), is_known()), (Ok("1 tokens"), true));

        write("wrong", 0o600);
        let wrong = look().unwrap_err();
        assert!(wrong.starts_with(&format!("{}: line 1 is not NAME", path.display())), "{wrong}");
        write(&line, 0o604);
        let wrong = look().unwrap_err();
        assert!(wrong.contains("can be read by every user"), "{wrong}");
        fs::remove_file(&path).unwrap();
        let wrong = look().unwrap_err();
        assert!(wrong.contains("No such file") && is_known(), "{wrong}");

        write("", 0o600);
        assert_eq!((look().as_deref(), is_known()), (Ok("0 tokens"), false));
        fs::remove_dir_all(&directory).unwrap();
    }
}
