//! Temporary credentials: the id, the secret and the security token that an operator gets for an
//! access key. Nothing about them is stored. The token is sealed and says everything. The access key is
//! the *parent* of the credential: its row is read for every request, so a credential ends at once
//! when its parent is disabled or deleted. The secret is derived from what the token says and the
//! secret of the parent, with the sealing key. So who has only the sealing key can neither make a
//! credential nor change what one may do.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::DateTime;
use hmac::Mac;
use prost::Message;

use super::sealing::{KeyRing, Sealed, SealingKey, SealingKeyId, keyed};
use super::secret::{Secret, random_letters};
use crate::domain::{AccountId, Time};
use crate::error::Error;
use crate::storage::StoredAccessKey;

/// The beginning of the id of every temporary credential. No access key has such an id.
pub const STS: &str = "STS.";
/// Letters and digits after it.
const ID_LETTERS: usize = 24;
/// Longest text of a token that is decoded, in bytes. A token of this service is shorter.
const LONGEST_TOKEN: usize = 4096;
/// Label from which the keys of secrets are derived.
const LABEL: &str = "secrets of temporary credentials";

/// A new temporary credential.
#[derive(Debug)]
pub struct TemporaryCredential {
    /// Its id, with which requests are signed.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// The token that each request has.
    pub security_token: Secret,
    /// From when on it is refused, by the wire clock.
    pub expires_at: Time,
}

/// What a security token says. It is written with the encoding of Protocol Buffers, sealed.
#[derive(Clone, PartialEq, Message)]
struct TokenBody {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    parent: String,
    #[prost(int64, tag = "3")]
    account_id: i64,
    /// In seconds of Unix time.
    #[prost(int64, tag = "4")]
    expires_at: i64,
    #[prost(string, optional, tag = "5")]
    policy: Option<String>,
}

/// A security token that was opened, so that what it says is what the service has said.
#[derive(Debug)]
pub struct OpenedToken {
    /// The id of the credential.
    pub id: String,
    /// The id of the access key for which it was issued.
    pub parent: String,
    /// The account of that key.
    pub account_id: AccountId,
    /// From when on the credential is refused.
    pub expires_at: Time,
    /// The session policy: what the credential may do of what its parent may do. Without one,
    /// everything.
    pub policy: Option<String>,
    /// What the token says, as it was encoded.
    body: Vec<u8>,
    sealed_with: SealingKey,
}

/// Issues a credential for an access key. The secret of that key is opened for it.
pub fn issue(
    ring: &KeyRing,
    parent: &StoredAccessKey,
    policy: Option<String>,
    expires_at: Time,
) -> Result<TemporaryCredential, Error> {
    let parent_secret =
        ring.open_secret(&parent.access_key_id, parent.account_id, &parent.secret_sealed)?;
    let id = format!("{STS}{}", random_letters(ID_LETTERS)?.as_str());
    let body = TokenBody {
        id: id.clone(),
        parent: parent.access_key_id.clone(),
        account_id: parent.account_id.get(),
        expires_at: expires_at.timestamp(),
        policy,
    };
    let key = ring.first();
    let body = body.encode_to_vec();
    let token = key.seal(Sealed::SecurityToken, &body)?;
    let security_token = Secret::new(STANDARD.encode(token));
    let secret = secret(&key, &body, &parent_secret);
    Ok(TemporaryCredential { id, secret, security_token, expires_at })
}

impl OpenedToken {
    /// Opens a token; `None` if it is none of this service. How long that takes does not depend on
    /// how much of a wrong token is right.
    #[must_use]
    pub fn open(ring: &KeyRing, token: &str) -> Option<Self> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (sealed_with, opened) =
            ring.open(Sealed::SecurityToken, &STANDARD.decode(token).ok()?)?;
        let body = TokenBody::decode(opened.as_slice()).ok()?;
        Some(Self {
            id: body.id,
            parent: body.parent,
            account_id: AccountId::new(body.account_id)?,
            expires_at: DateTime::from_timestamp(body.expires_at, 0)?,
            policy: body.policy,
            body: opened.to_vec(),
            sealed_with,
        })
    }

    /// Returns the id of the key that has sealed the token.
    #[must_use]
    pub fn sealing_key_id(&self) -> SealingKeyId {
        self.sealed_with.id()
    }

    /// Returns the secret of the credential, given that of its parent.
    #[must_use]
    pub fn secret(&self, parent: &Secret) -> Secret {
        secret(&self.sealed_with, &self.body, parent)
    }
}

/// Derives the secret of a credential from what its token says, the secret of its parent, and the key
/// that sealed the token. The length of the first is before it, so that no two pairs give the same
/// bytes.
fn secret(key: &SealingKey, body: &[u8], parent: &Secret) -> Secret {
    let mut code = keyed(&*key.derive(LABEL));
    let length = u32::try_from(body.len()).expect("a token is not as long");
    code.update(&length.to_be_bytes());
    code.update(body);
    code.update(parent.expose().as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(code.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy;

    fn ring() -> KeyRing {
        KeyRing::parse(&SealingKey::generate().unwrap()).unwrap()
    }

    const PARENT: &str = "LTAIparent";

    fn secret_of_parent() -> Secret {
        Secret::new("secret of the parent".to_owned())
    }

    fn parent(ring: &KeyRing) -> StoredAccessKey {
        with_secret(ring, PARENT, &secret_of_parent())
    }

    fn with_secret(ring: &KeyRing, id: &str, secret: &Secret) -> StoredAccessKey {
        let account_id = AccountId::new(7).unwrap();
        StoredAccessKey {
            access_key_id: id.to_owned(),
            account_id,
            secret_sealed: ring.first().seal_secret(id, account_id, secret).unwrap(),
            policy: policy::EVERYTHING.to_owned(),
            disabled: false,
            version: 1,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
            last_used_on: None,
        }
    }

    fn at(seconds: i64) -> Time {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_says_what_it_was_issued_with() {
        let ring = ring();
        let issued = issue(&ring, &parent(&ring), Some("policy".to_owned()), at(1_000)).unwrap();
        let opened = OpenedToken::open(&ring, issued.security_token.expose()).unwrap();
        assert_eq!((&opened.id, opened.parent.as_str()), (&issued.id, PARENT));
        assert_eq!((opened.account_id.get(), opened.expires_at), (7, at(1_000)));
        assert_eq!(opened.policy.as_deref(), Some("policy"));
        assert_eq!(opened.secret(&secret_of_parent()).expose(), issued.secret.expose());
        assert_eq!((issued.id.len(), &issued.id[..4]), (28, STS));
        assert_eq!(issued.secret.expose().len(), 43);
        let other = issue(&ring, &parent(&ring), None, at(1_000)).unwrap();
        assert_ne!((other.id, other.secret.expose()), (issued.id, issued.secret.expose()));
        assert!(!format!("{opened:?}{:?}", issued.secret).contains(issued.secret.expose()));
    }

    #[test]
    fn the_secret_depends_on_the_secret_of_the_parent_and_not_on_how_it_is_sealed() {
        let (old, new) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
        let ring = |keys: [&str; 2]| KeyRing::parse(&keys.join("\n")).unwrap();
        let (before, after) = (ring([&old, &new]), ring([&new, &old]));
        let first = parent(&before);
        let issued = issue(&before, &first, None, at(1_000)).unwrap();
        let secret_with = |row: &StoredAccessKey, ring: &KeyRing| {
            let token = OpenedToken::open(ring, issued.security_token.expose()).unwrap();
            let (id, sealed) = (&row.access_key_id, &row.secret_sealed);
            let of_parent = ring.open_secret(id, row.account_id, sealed).unwrap();
            token.secret(&of_parent).expose().to_owned()
        };
        let resealed = parent(&after);
        assert_ne!(first.secret_sealed[..4], resealed.secret_sealed[..4]);
        for (row, ring) in [(&first, &before), (&resealed, &after)] {
            assert_eq!(secret_with(row, ring), issued.secret.expose());
        }
        let again = with_secret(&before, PARENT, &Secret::new("another".to_owned()));
        assert_ne!(secret_with(&again, &before), issued.secret.expose());
        let broken = StoredAccessKey { secret_sealed: Vec::new(), ..first };
        assert!(issue(&before, &broken, None, at(1_000)).is_err());
    }

    #[test]
    fn the_encoding_from_which_a_secret_is_derived_is_unambiguous() {
        let key = ring().first();
        let of = |body, parent: &str| secret(&key, body, &Secret::new(parent.to_owned()));
        assert_ne!(of(b"ab", "c").expose(), of(b"a", "bc").expose());
    }

    #[test]
    fn a_token_that_says_something_else_has_another_secret() {
        let ring = ring();
        let issued = issue(&ring, &parent(&ring), Some("policy".to_owned()), at(1_000)).unwrap();
        let opened = OpenedToken::open(&ring, issued.security_token.expose()).unwrap();
        let mut body = TokenBody::decode(opened.body.as_slice()).unwrap();
        body.policy = None;
        let wider = ring.seal(Sealed::SecurityToken, &body.encode_to_vec()).unwrap();
        let wider = OpenedToken::open(&ring, &STANDARD.encode(wider)).unwrap();
        assert_ne!(wider.secret(&secret_of_parent()).expose(), issued.secret.expose());
    }

    #[test]
    fn a_token_with_any_byte_changed_or_cut_off_cannot_be_opened() {
        let ring = ring();
        let issued = issue(&ring, &parent(&ring), None, at(1_000)).unwrap();
        let bytes = STANDARD.decode(issued.security_token.expose()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(OpenedToken::open(&ring, &STANDARD.encode(changed)).is_none(), "byte {at}");
            let cut = STANDARD.encode(&bytes[..at]);
            assert!(OpenedToken::open(&ring, &cut).is_none(), "cut off at {at}");
        }
        for wrong in ["", "token", "CAISexample+token/with==specials", &"A".repeat(5_000)] {
            assert!(OpenedToken::open(&ring, wrong).is_none(), "{wrong}");
        }
        let token = issued.security_token.expose();
        assert!(OpenedToken::open(&super::tests::ring(), token).is_none(), "another deployment");
    }

    #[test]
    fn the_longest_token_can_be_opened() {
        let ring = ring();
        let parent = with_secret(&ring, &"a".repeat(128), &secret_of_parent());
        let issued =
            issue(&ring, &parent, Some("p".repeat(2048)), at(i64::from(u32::MAX))).unwrap();
        assert!(OpenedToken::open(&ring, issued.security_token.expose()).is_some());
    }
}
