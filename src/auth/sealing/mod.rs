//! What is encrypted or authenticated with the keys of `SEALING_KEY_FILE`: the secrets of access
//! keys in the database, security tokens, cursors and page tokens. The secrets are encrypted and not
//! hashed, because a signature can be checked with the secret only.
//!
//! The file holds a *key ring*. Its first key seals, and all of its keys open, so a key can be
//! replaced without an outage. Everything that was made with a key carries the id of that key,
//! which is derived from the key.

mod bound;
mod key;
mod ring;

pub use self::bound::BoundTexts;
pub use self::key::SealingKey;
pub(in crate::auth) use self::key::keyed;
pub use self::ring::{KeyRing, KeyRingError};

/// Bytes of the id of a sealing key.
pub const KEY_ID_BYTES: usize = 4;

/// The id of a sealing key. It does not reveal the key.
pub type SealingKeyId = [u8; KEY_ID_BYTES];

/// What a sealed text is for. It can be opened for the same purpose and subject only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed<'a> {
    /// The secret of an access key.
    Secret {
        /// The id of the key.
        access_key_id: &'a str,
        /// The account of the key.
        account_id: i64,
    },
    /// A security token. It says itself to which credential it belongs.
    SecurityToken,
}

impl Sealed<'_> {
    /// Returns the associated data of the encryption. No two values have the same: a label has no
    /// NUL and ends with one, the number has a fixed length, and the id is the rest.
    fn associated_data(&self) -> Vec<u8> {
        match self {
            Self::Secret { access_key_id, account_id } => {
                [b"secret\0", &account_id.to_be_bytes()[..], access_key_id.as_bytes()].concat()
            }
            Self::SecurityToken => b"security token\0".to_vec(),
        }
    }
}
