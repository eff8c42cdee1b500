//! A cursor says which events a follower has seen. The follower keeps it as an opaque text and
//! sends it back. The text is base64url of a form byte, the account that is followed (0 for all), a
//! position for each lane, and 16 bytes of HMAC-SHA256 over these. Because it is authenticated, its
//! positions are positions that the service gave.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use prost::encoding::{decode_varint, encode_varint};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::auth::secret::SealingKey;
use crate::domain::AccountId;
use crate::domain::event::LANES;
use crate::error::Error;

/// The form of a cursor that is written and read.
const FORM: u8 = 1;
const MAC_BYTES: usize = 16;
/// Longest text that is decoded, in bytes. A cursor of this service is shorter.
const LONGEST: usize = 512;
/// Label from which the key of cursors is derived.
const LABEL: &str = "cdn-activation event cursor";

/// A position in each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions(pub [i64; LANES]);

impl Positions {
    /// Returns a number that differs from page to page. It chooses the lane that a page reads
    /// first.
    pub(super) fn turn(&self) -> usize {
        let sum = self.0.iter().fold(0_u64, |sum, position| sum.wrapping_add_signed(*position));
        // Multiplying by a fractional part of the golden ratio reaches every lane, for every size
        // of page.
        let mixed = sum.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
        usize::try_from(mixed).unwrap_or_default()
    }
}

/// What a follower follows, and which events it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The account that it follows; `None` for all accounts.
    pub account_id: Option<AccountId>,
    /// The position of the newest event that it has seen, in each lane.
    pub positions: Positions,
}

/// The key that authenticates cursors.
#[derive(Clone)]
pub struct CursorKey(Zeroizing<[u8; 32]>);

impl CursorKey {
    /// Derives the key of a deployment. All replicas derive the same key.
    #[must_use]
    pub fn new(sealing_key: &SealingKey) -> Self {
        Self(Zeroizing::new(sealing_key.derive(LABEL)))
    }

    /// Returns the text of a cursor.
    #[must_use]
    pub fn encode(&self, cursor: &Cursor) -> String {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(FORM);
        encode_varint(cursor.account_id.map_or(0, |id| id.get().unsigned_abs()), &mut bytes);
        for position in cursor.positions.0 {
            encode_varint(position.unsigned_abs(), &mut bytes);
        }
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of this service; any other text is an invalid field.
    pub fn decode(&self, text: &str) -> Result<Cursor, Error> {
        self.read(text).ok_or_else(|| Error::field("cursor", "is not a cursor of this service"))
    }

    fn read(&self, text: &str) -> Option<Cursor> {
        if text.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        self.mac(body).verify_truncated_left(tag).ok()?;
        let (form, mut body) = body.split_first()?;
        if *form != FORM {
            return None;
        }
        let account_id = i64::try_from(decode_varint(&mut body).ok()?).ok()?;
        let mut positions = Positions::default();
        for position in &mut positions.0 {
            *position = i64::try_from(decode_varint(&mut body).ok()?).ok()?;
        }
        body.is_empty().then_some(Cursor { account_id: AccountId::new(account_id), positions })
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.0);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CursorKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> CursorKey {
        CursorKey(Zeroizing::new([7; 32]))
    }

    #[test]
    fn a_text_that_is_not_a_cursor_of_this_service_is_refused() {
        let (cursor, key) =
            (Cursor { account_id: AccountId::new(7), positions: Positions([3; LANES]) }, key());
        let text = key.encode(&cursor);
        assert!(
            CursorKey(Zeroizing::new([8; 32])).decode(&text).is_err(),
            "a cursor of another deployment"
        );
        for end in 0..text.len() {
            assert!(key.decode(&text[..end]).is_err(), "cut off after {end}");
        }
        for wrong in ["A".repeat(LONGEST + 1), format!("{text}A"), format!("{text}="), "§".into()]
        {
            assert!(key.decode(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "CursorKey(…)");
    }

    #[test]
    fn every_lane_is_read_first_in_turn_for_every_page_size() {
        for step in [1, 16, 50, 64, 128, 1000] {
            let mut first = [0; LANES];
            for page in 0..400 {
                let mut positions = Positions::default();
                positions.0[5] = page * step;
                first[positions.turn() % LANES] += 1;
            }
            assert!(first.iter().all(|turns| *turns > 5), "pages of {step}: {first:?}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(
            account_id in proptest::option::of(1..i64::MAX),
            positions in proptest::array::uniform16(0..i64::MAX),
        ) {
            let account_id = account_id.and_then(AccountId::new);
            let cursor = Cursor { account_id, positions: Positions(positions) };
            prop_assert_eq!(key().decode(&key().encode(&cursor)).unwrap(), cursor);
        }

        #[test]
        fn a_cursor_with_one_bit_changed_is_refused(
            positions in proptest::array::uniform16(0_i64..100_000),
            at: proptest::sample::Index,
            bit in 0_u32..8,
        ) {
            let text = key().encode(&Cursor { account_id: None, positions: Positions(positions) });
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(key().decode(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }
}
