//! The checks of credentials whose times are measured, and one that leaks.

use std::hint::black_box;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cdn_activation::auth::sealing::{KeyRing, SealingKey};
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::services::{ServiceDirectory, ServiceToken};
use cdn_activation::auth::signature::{v1, v3};
use cdn_activation::auth::temporary::{self, OpenedToken};
use cdn_activation::domain::policy::EVERYTHING;
use cdn_activation::domain::{AccountId, Time};
use cdn_activation::storage::StoredAccessKey;

/// A check of credentials.
pub struct Subject {
    /// Its name in the table.
    pub name: &'static str,
    /// Makes a new secret, and what checks credentials against it.
    pub target: fn() -> anyhow::Result<Target>,
    /// Whether its time is expected to tell how much is right.
    pub leaks: bool,
}

/// Writes a credential as text.
type Encode = Box<dyn Fn(&[u8]) -> String>;

/// A secret, and the check against it.
pub struct Target {
    /// The right credential, before it is encoded.
    pub right: Vec<u8>,
    /// Returns another byte than the first argument; the second one is random.
    pub other: fn(u8, u8) -> u8,
    /// Writes a credential as the check expects it.
    pub encode: Encode,
    /// Returns whether a credential is right.
    pub check: Box<dyn Fn(&str) -> bool>,
}

/// What is signed: as long as that of a short request.
const STRING_TO_SIGN: &str = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeCdnService%26Format%3DJSON\
    %26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D7a6e551cde62bcc74778728992ebe12f%26SignatureVersion\
    %3D1.0%26Timestamp%3D2026-11-21T22%253A29%253A50Z%26Version%3D2018-05-10";

/// The form of a sealed text and the id of its key, in bytes.
const PUBLIC: usize = 1 + 4;

/// All rows.
pub const ALL: [Subject; 5] = [
    Subject { name: "signature V1", target: signature_v1, leaks: false },
    Subject { name: "signature V3", target: signature_v3, leaks: false },
    Subject { name: "service token", target: service_token, leaks: false },
    Subject { name: "security token", target: security_token, leaks: false },
    Subject { name: "control: stops at the first difference", target: leaking, leaks: true },
];

fn signature_v1() -> anyhow::Result<Target> {
    let key = v1::Key::new(&Secret::random()?);
    Ok(Target {
        right: STANDARD.decode(key.sign(STRING_TO_SIGN))?,
        other: other_byte,
        encode: Box::new(|bytes| STANDARD.encode(bytes)),
        check: Box::new(move |signature| key.verify(STRING_TO_SIGN, signature)),
    })
}

fn signature_v3() -> anyhow::Result<Target> {
    let key = v3::Key::new(&Secret::random()?);
    let signature = key.sign(STRING_TO_SIGN);
    let digits: Vec<_> = signature.as_bytes().chunks(2).map(std::str::from_utf8).collect();
    let bytes = digits.into_iter().map(|pair| Ok(u8::from_str_radix(pair?, 16)?));
    Ok(Target {
        right: bytes.collect::<anyhow::Result<_>>()?,
        other: other_byte,
        encode: Box::new(hex),
        check: Box::new(move |signature| key.verify(STRING_TO_SIGN, signature)),
    })
}

fn service_token() -> anyhow::Result<Target> {
    let right = letters(40)?;
    let line = ServiceToken::new(&text(&right)).line("caller", None);
    let services = ServiceDirectory::of(&line, "").map_err(anyhow::Error::msg)?;
    Ok(Target {
        right,
        other: other_letter,
        encode: Box::new(text),
        check: Box::new(move |given| services.of_token(given, Time::default).is_some()),
    })
}

/// The form of a security token and the id of its sealing key, which are no secrets, are always right.
fn security_token() -> anyhow::Result<Target> {
    let ring = KeyRing::parse(&SealingKey::generate()?)?;
    let (id, account_id) = ("LTAIparent", AccountId::new(1).context("positive")?);
    let parent = StoredAccessKey {
        access_key_id: id.to_owned(),
        account_id,
        secret_sealed: ring.first().seal_secret(id, account_id, &Secret::random()?)?,
        policy: EVERYTHING.to_owned(),
        disabled: false,
        version: 1,
        created_at: Time::UNIX_EPOCH,
        updated_at: Time::UNIX_EPOCH,
        last_used_on: None,
    };
    let issued = temporary::issue(&ring, &parent, None, Time::UNIX_EPOCH)?;
    let token = STANDARD.decode(issued.security_token.expose())?;
    let (public, secret) = token.split_at(PUBLIC);
    let (public, right) = (public.to_vec(), secret.to_vec());
    Ok(Target {
        right,
        other: other_byte,
        encode: Box::new(move |bytes| STANDARD.encode([&public, bytes].concat())),
        check: Box::new(move |token| OpenedToken::open(&ring, token).is_some()),
    })
}

/// A comparison that stops at the first difference.
fn leaking() -> anyhow::Result<Target> {
    let right = letters(40)?;
    let expected = right.clone();
    Ok(Target {
        right,
        other: other_letter,
        encode: Box::new(text),
        check: Box::new(move |given| {
            given.len() == expected.len()
                && given.bytes().zip(&expected).all(|(one, other)| black_box(one) == *other)
        }),
    })
}

fn hex(bytes: &[u8]) -> String {
    let digit = |part: u8| char::from_digit(part.into(), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn other_byte(byte: u8, random: u8) -> u8 {
    byte ^ random.max(1)
}

fn other_letter(letter: u8, random: u8) -> u8 {
    b'a' + (letter - b'a' + 1 + random % 25) % 26
}

fn letters(length: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.into_iter().map(|byte| b'a' + byte % 26).collect())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_accepts_the_right_credential_only() {
        for subject in ALL {
            let Target { mut right, other, encode, check } = (subject.target)().unwrap();
            assert!(check(&encode(&right)), "{}", subject.name);
            let last = right.last_mut().unwrap();
            *last = other(*last, 7);
            assert!(!check(&encode(&right)), "{}", subject.name);
        }
    }

    #[test]
    fn another_byte_is_never_the_same() {
        for random in 0..=u8::MAX {
            assert!((0..=u8::MAX).all(|byte| other_byte(byte, random) != byte));
            for letter in b'a'..=b'z' {
                let other = other_letter(letter, random);
                assert!(other != letter && other.is_ascii_lowercase());
            }
        }
    }
}
