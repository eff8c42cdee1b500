//! Texts and bytes that the service has sealed and gets back: cursors, page tokens, sealed secrets
//! and security tokens. Everything that was not sealed by the service, for the same purpose, is
//! refused.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cdn_activation::auth::sealing::{KeyRing, Sealed};
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::temporary::OpenedToken;
use cdn_activation::domain::AccountId;
use cdn_activation::events::{Cursor, Cursors, Positions};
use cdn_activation::grpc::operator::page::PageTokens;

use super::parameters::two_lines;

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    KeyRing::parse("ZnV6emluZyB3aXRoIHRoaXMga2V5IG9mIDMyIGJ5dGU=").expect("a key")
});

/// Returns the bytes with one bit changed, at a place that they choose themselves.
fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    if let Some(last) = changed.len().checked_sub(1) {
        changed[at % (last + 1)] ^= 1 << (at % 8);
    }
    changed
}

/// A text of a caller, which is read as a token, and the end of a page.
pub fn page_tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let tokens = PageTokens::new(RING.clone());
    let read = |caller, list, token: &str| {
        tokens.page(caller, list, 0, token).map(|page| page.after.unwrap_or_default())
    };
    if !text.is_empty()
        && let Ok(end) = read("caller", "list", text)
    {
        assert_eq!(tokens.next("caller", "list", Some(end)), text, "the service wrote it");
    }
    let token = tokens.next("caller", "list", Some(text.to_owned()));
    assert_eq!(read("caller", "list", &token).expect("a token"), text);
    assert!(read("calle", "rlist", &token).is_err() && read("caller", "lists", &token).is_err());
    let bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64url");
    let other = URL_SAFE_NO_PAD.encode(changed(&bytes, data.len()));
    assert!(read("caller", "list", &other).is_err());
}

/// A text, which is read as a cursor, and positions.
pub fn cursors(data: &[u8]) {
    let cursors = Cursors::new(RING.clone());
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(cursor) = cursors.decode("caller", text)
    {
        assert_eq!(cursors.encode("caller", &cursor), text, "the service wrote it");
    }
    let mut numbers = data.chunks(8).map(|chunk| {
        let number = chunk.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        number & i64::MAX
    });
    let account_id = numbers.next().and_then(AccountId::new);
    let mut half = || numbers.next().unwrap_or_default().to_be_bytes();
    let generation = [half(), half()].concat().try_into().expect("16 bytes");
    let mut positions = Positions::default();
    positions.0.fill_with(|| numbers.next().unwrap_or_default());
    let cursor = Cursor { account_id, generation, positions };
    let text = cursors.encode("caller", &cursor);
    assert_eq!(cursors.decode("caller", &text).expect("a cursor"), cursor);
    assert!(cursors.decode("other", &text).is_err());
    let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64url");
    let other = URL_SAFE_NO_PAD.encode(changed(&bytes, data.len()));
    assert!(cursors.decode("caller", &other).is_err());
}

/// The text of a key file, and bytes that are opened as a secret or sealed as one.
pub fn sealed(data: &[u8]) {
    let (file, bytes) = two_lines(data);
    let file = String::from_utf8_lossy(file);
    let _ = KeyRing::parse(&file.replace(' ', "\n"));
    let secret = Sealed::Secret { access_key_id: "testid", account_id: 1 };
    let of_others = [
        Sealed::Secret { access_key_id: "testid", account_id: 2 },
        Sealed::Secret { access_key_id: "testi", account_id: 1 },
        Sealed::SecurityToken,
    ];
    assert!(RING.open(secret, bytes).is_none(), "only the service seals");
    let sealed = RING.seal(secret, bytes).expect("sealed");
    let (_, opened) = RING.open(secret, &sealed).expect("opened");
    assert_eq!(*opened, bytes);
    for other in of_others {
        assert!(RING.open(other, &sealed).is_none(), "{other:?}");
    }
    assert!(RING.open(secret, &changed(&sealed, data.len())).is_none());
    assert!(RING.open(secret, &sealed[..data.len() % sealed.len()]).is_none());
}

/// A text, which is opened as a security token, and the content of a token that the key has sealed.
pub fn security_tokens(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(OpenedToken::open(&RING, text).is_none(), "only the service seals");
    }
    let token = RING.seal(Sealed::SecurityToken, data).expect("sealed");
    let text = STANDARD.encode(&token);
    if let Some(opened) = OpenedToken::open(&RING, &text) {
        assert!(opened.account_id.get() > 0);
        assert_eq!(opened.sealing_key_id(), RING.first().id());
        assert_eq!(opened.secret(&Secret::new("secret".to_owned())).expose().len(), 43);
    }
    let other = STANDARD.encode(changed(&token, data.len()));
    assert!(OpenedToken::open(&RING, &other).is_none());
}
