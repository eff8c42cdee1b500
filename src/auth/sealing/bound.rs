//! Texts that a caller keeps and sends back: cursors and page tokens. They are authenticated, so
//! what they say is what the service has said. They are bound to the caller that got them, so
//! nobody continues what another caller has begun.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::key::keyed;
use super::{KEY_ID_BYTES, KeyRing, SealingKey};

/// Bytes of the authentication code.
const CODE_BYTES: usize = 16;

/// Writes and reads texts of one kind. A text is base64url of the id of the sealing key, 16 bytes
/// of HMAC-SHA256, and the body. The key of the HMAC is derived for the kind.
#[derive(Clone, Debug)]
pub struct BoundTexts {
    ring: KeyRing,
    label: &'static str,
}

impl BoundTexts {
    /// Creates the texts of the kind that the label names. All replicas have the same key ring.
    #[must_use]
    pub fn new(ring: KeyRing, label: &'static str) -> Self {
        Self { ring, label }
    }

    /// Returns the text of a body. It can be read with the same names only: the caller, and what
    /// else the text is about.
    #[must_use]
    pub fn write(&self, names: &[&str], body: &[u8]) -> String {
        let key = self.ring.first();
        let code = self.mac(&key, names, body).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&key.id()[..], &code[..CODE_BYTES], body].concat())
    }

    /// Returns the body of a text that was written with these names and a key of the ring.
    #[must_use]
    pub fn read(&self, names: &[&str], text: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_first_chunk::<KEY_ID_BYTES>()?;
        let (code, body) = rest.split_at_checked(CODE_BYTES)?;
        let key = self.ring.key(*id)?;
        self.mac(&key, names, body).verify_truncated_left(code).ok()?;
        Some(body.to_vec())
    }

    /// Each name is preceded by its length, so that no two lists of names are the same bytes.
    fn mac(&self, key: &SealingKey, names: &[&str], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(&*key.derive(self.label));
        for name in names {
            mac.update(&(name.len() as u64).to_be_bytes());
            mac.update(name.as_bytes());
        }
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_with_its_own_names_and_kind_and_a_key_of_the_ring_only() {
        let (a, b) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
        let (a, b) = (a.as_str(), b.as_str());
        let texts = |ring: &str| BoundTexts::new(KeyRing::parse(ring).unwrap(), "kind");
        let text = texts(a).write(&["billing", "list"], b"body");
        for ring in [a.to_owned(), format!("{a}\n{b}"), format!("{b}\n{a}")] {
            let read = texts(&ring).read(&["billing", "list"], &text);
            assert_eq!(read.as_deref(), Some(&b"body"[..]));
        }
        assert!(texts(b).read(&["billing", "list"], &text).is_none());
        for names in [&["billing"][..], &["billin", "glist"], &["billinglist"], &["", "list"], &[]]
        {
            assert!(texts(a).read(names, &text).is_none(), "{names:?}");
        }
        let other = BoundTexts::new(KeyRing::parse(a).unwrap(), "another kind");
        assert!(other.read(&["billing", "list"], &text).is_none());
    }

    #[test]
    fn a_text_with_any_byte_changed_or_cut_off_is_refused() {
        let ring = KeyRing::parse(&SealingKey::generate().unwrap()).unwrap();
        let texts = BoundTexts::new(ring, "kind");
        let text = texts.write(&["billing"], b"body");
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(texts.read(&["billing"], &changed).is_none(), "{at}");
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert!(texts.read(&["billing"], &cut).is_none(), "cut off at {at}");
        }
    }
}
