//! The calling services that are known now. All cores share one directory, which is replaced as a
//! whole when a file has changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::files::{FilesOfServices, ServiceFileError, ServiceFiles};
use super::grants::{self, Identities};
use super::token::{TokenDigest, digest_of};
use super::token_file::{self, DEVELOPER, ListedToken, is_service_name};
use crate::domain::{Grants, Identity, Time};
use crate::files::Following;

/// The calling services: who has which token, and what each is granted. Clones share it.
#[derive(Clone, Default)]
pub struct ServiceDirectory {
    services: Arc<Services>,
    files: Arc<FilesOfServices>,
}

/// The services that are in force, and what they were made of.
#[derive(Default)]
pub(super) struct Services {
    known: RwLock<KnownServices>,
    listed: Mutex<ListedServices>,
}

/// What the two files list.
#[derive(Default)]
pub(super) struct ListedServices {
    pub tokens: Vec<ListedToken>,
    pub identities: Identities,
    /// Whether [`DEVELOPER`] may do everything unless the grants say otherwise.
    pub development: bool,
}

impl ListedServices {
    fn known(&self) -> KnownServices {
        if self.development && !self.identities.contains_key(DEVELOPER) {
            let mut identities = self.identities.clone();
            let everything = Arc::new(grants::everything(DEVELOPER));
            identities.insert(DEVELOPER.to_owned(), everything);
            return KnownServices::of(&self.tokens, &identities);
        }
        KnownServices::of(&self.tokens, &self.identities)
    }
}

/// The tokens and identities that are in force. A call needs one look-up in it.
#[derive(Default)]
struct KnownServices {
    tokens: HashMap<TokenDigest, KnownToken>,
    identities: Identities,
}

struct KnownToken {
    identity: Arc<Identity>,
    not_after: Option<Time>,
}

impl KnownServices {
    /// Combines tokens with grants. The identity of a token without grants is granted nothing.
    fn of(tokens: &[ListedToken], identities: &Identities) -> Self {
        let known = |token: &ListedToken| {
            let identity = identities.get(&token.name).cloned();
            let identity = identity.unwrap_or_else(|| without_grants(&token.name));
            (token.digest, KnownToken { identity, not_after: token.not_after })
        };
        let tokens = tokens.iter().map(known).collect();
        Self { tokens, identities: identities.clone() }
    }
}

fn is_name_of_certificate(name: &str) -> bool {
    is_service_name(name) && (name.contains("://") || name.contains('.'))
}

fn without_grants(name: &str) -> Arc<Identity> {
    Arc::new(Identity::new(name, Grants::default()))
}

impl Services {
    /// Changes what is listed. When this returns, the change is in force.
    pub fn change(&self, change: impl FnOnce(&mut ListedServices)) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut listed);
        // Replaced while `listed` is locked, so that of two changes the later one is in force.
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = listed.known();
    }

    /// See [`ServiceDirectory::of_token`].
    pub fn of_token(&self, token: &str, now: impl FnOnce() -> Time) -> Option<Arc<Identity>> {
        let digest = digest_of(token);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let token = known.tokens.get(&digest)?;
        let is_valid = token.not_after.is_none_or(|not_after| now() < not_after);
        is_valid.then(|| Arc::clone(&token.identity))
    }

    /// See [`ServiceDirectory::of_certificate`].
    pub fn of_certificate(&self, names: &[String]) -> Option<Arc<Identity>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_uri = |name: &&String| name.contains("://");
        let uris = names.iter().filter(is_uri);
        let in_order = uris.chain(names.iter().filter(|name| !is_uri(name)));
        let mut in_order = in_order.filter(|name| is_name_of_certificate(name)).peekable();
        let first = *in_order.peek()?;
        let granted = in_order.find_map(|name| known.identities.get(name)).cloned();
        Some(granted.unwrap_or_else(|| without_grants(first)))
    }
}

impl ServiceDirectory {
    /// Reads the files. An error is a sentence that names the file and the line.
    pub fn open(files: ServiceFiles) -> Result<Self, ServiceFileError> {
        let services = Arc::<Services>::default();
        services.change(|listed| listed.development = files.development);
        let files = FilesOfServices::open(files, &services)?;
        Ok(Self { services, files: Arc::new(files) })
    }

    /// Returns a directory of a file of tokens and a file of grants with these contents. It does
    /// not change.
    pub fn of(tokens: &str, grants: &str) -> Result<Self, String> {
        let (tokens, identities) = (token_file::parse(tokens)?, grants::parse(grants)?);
        let directory = Self::default();
        directory.services.change(|listed| {
            (listed.tokens, listed.identities) = (tokens, identities);
        });
        Ok(directory)
    }

    /// Returns the identity that a token proves. `now` is the instant of the wire clock, and is
    /// asked only if the token expires.
    #[must_use]
    pub fn of_token(&self, token: &str, now: impl FnOnce() -> Time) -> Option<Arc<Identity>> {
        self.services.of_token(token, now)
    }

    /// Returns the identity that a certificate with these names proves: the first URI that has
    /// grants, else the first other name that has grants, else the first name, without grants.
    ///
    /// A name counts if it can be the name of a service and has `://` or a dot. A bare word is the
    /// name of a token: an authority that gives hosts their short names must not give them the
    /// grants of a token.
    #[must_use]
    pub fn of_certificate(&self, names: &[String]) -> Option<Arc<Identity>> {
        self.services.of_certificate(names)
    }

    /// Follows both files until `shutdown`.
    pub async fn follow(self, following: Following, shutdown: CancellationToken) {
        let FilesOfServices { tokens, grants } = &*self.files;
        let tokens = async {
            if let Some((file, first)) = tokens.clone() {
                following.follow(file, first, shutdown.clone()).await;
            }
        };
        let grants = async {
            if let Some((file, first)) = grants.clone() {
                following.follow(file, first, shutdown.clone()).await;
            }
        };
        tokio::join!(tokens, grants);
    }
}

impl fmt::Debug for ServiceDirectory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceDirectory(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceToken;
    use super::*;
    use crate::domain::time;

    const GRANTS: &str = r#"
        [[identity]]
        name = "b.example"
        actions = ["*"]
        [[identity]]
        name = "spiffe://example/b"
        actions = ["*"]
        [[identity]]
        name = "billing"
        actions = ["*"]
    "#;

    fn name(identity: Option<Arc<Identity>>) -> Option<String> {
        identity.map(|identity| identity.name().to_string())
    }

    #[test]
    fn a_token_is_valid_before_its_not_after() {
        let end = time::parse("2027-01-01T00:00:00Z").unwrap();
        let line = ServiceToken::new("secret").line("a", Some(end));
        let directory = ServiceDirectory::of(&line, "").unwrap();
        let at = |seconds| {
            name(directory.of_token("secret", || end + chrono::Duration::seconds(seconds)))
        };
        assert_eq!(at(-1).as_deref(), Some("a"));
        assert_eq!((at(0), at(1)), (None, None));
        assert_eq!(name(directory.of_token("secret ", || end - chrono::Duration::days(1))), None);
        assert_eq!(format!("{directory:?}"), "ServiceDirectory(…)");
    }

    #[test]
    fn a_certificate_proves_its_first_uri_with_grants_and_then_its_first_dns_name() {
        let directory = ServiceDirectory::of("", GRANTS).unwrap();
        let of = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            directory.of_certificate(&names)
        };
        for (names, expected) in [
            (&["b.example", "spiffe://example/b"][..], "spiffe://example/b"),
            (&["spiffe://example/a", "b.example"], "b.example"),
            (&["a.example", "b.example"], "b.example"),
            (&["a.example", "spiffe://example/a"], "spiffe://example/a"),
        ] {
            assert_eq!(name(of(names)).as_deref(), Some(expected), "{names:?}");
        }
        let open = "/activation.cdn.v1.CdnService/OpenCdnService";
        assert!(of(&["b.example"]).unwrap().may_call(open));
        assert!(!of(&["a.example"]).unwrap().may_call(open));
        assert!(of(&[]).is_none());
    }

    #[test]
    fn a_name_of_a_certificate_that_is_a_bare_word_or_not_visible_does_not_count() {
        let directory = ServiceDirectory::of("", GRANTS).unwrap();
        let of = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            name(directory.of_certificate(&names))
        };
        let too_long = format!("{}.example", "a".repeat(248));
        for wrong in
            ["billing", "", "a b.example", "a\0.example", "ä.example", "a.example\n", &too_long]
        {
            assert_eq!(of(&[wrong]), None, "{wrong:?}");
            assert_eq!(of(&[wrong, "a.example"]).as_deref(), Some("a.example"), "{wrong:?}");
        }
        assert_eq!(of(&[&too_long[1..]]).as_deref(), Some(&too_long[1..]));
    }
}
