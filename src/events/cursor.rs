//! A cursor says which events a follower has seen. The follower keeps it as an opaque text and
//! sends it back. It contains the account that is followed (0 for all), the generation of the log and
//! a position for each lane, as a text that is authenticated and bound to the follower ([`BoundTexts`]). So its positions are
//! positions that the service gave to this follower.

use prost::encoding::{decode_varint, encode_varint};
use uuid::Uuid;

use crate::auth::sealing::{BoundTexts, KeyRing};
use crate::domain::AccountId;
use crate::domain::event::LANES;
use crate::error::Error;

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
    /// The generation of the log to which the positions belong.
    pub generation: Uuid,
    /// The position of the newest event that it has seen, in each lane.
    pub positions: Positions,
}

/// Writes and reads the cursors of a deployment.
#[derive(Clone, Debug)]
pub struct Cursors(BoundTexts);

impl Cursors {
    /// Creates the cursors of a deployment. All replicas have the same key ring.
    #[must_use]
    pub fn new(key_ring: KeyRing) -> Self {
        Self(BoundTexts::new(key_ring, LABEL))
    }

    /// Returns the text of a cursor. Only this caller can send it back.
    #[must_use]
    pub fn encode(&self, caller: &str, cursor: &Cursor) -> String {
        let mut body = Vec::with_capacity(112);
        encode_varint(cursor.account_id.map_or(0, |id| id.get().unsigned_abs()), &mut body);
        body.extend_from_slice(cursor.generation.as_bytes());
        for position in cursor.positions.0 {
            encode_varint(position.unsigned_abs(), &mut body);
        }
        self.0.write(&[caller], &body)
    }

    /// Reads a cursor that the service gave to this caller; any other text is an invalid field.
    pub fn decode(&self, caller: &str, text: &str) -> Result<Cursor, Error> {
        let cursor = self.read(caller, text);
        cursor.ok_or_else(|| Error::field("cursor", "is not a cursor of this service"))
    }

    fn read(&self, caller: &str, text: &str) -> Option<Cursor> {
        if text.len() > LONGEST {
            return None;
        }
        let body = self.0.read(&[caller], text)?;
        let mut body = body.as_slice();
        let account_id = i64::try_from(decode_varint(&mut body).ok()?).ok()?;
        let (generation, mut body) = body.split_first_chunk()?;
        let mut positions = Positions::default();
        for position in &mut positions.0 {
            *position = i64::try_from(decode_varint(&mut body).ok()?).ok()?;
        }
        let (account_id, generation) = (AccountId::new(account_id), Uuid::from_bytes(*generation));
        body.is_empty().then_some(Cursor { account_id, generation, positions })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const CALLER: &str = "billing";

    fn of_key(byte: u8) -> Cursors {
        Cursors::new(KeyRing::parse(&STANDARD.encode([byte; 32])).unwrap())
    }

    fn cursors() -> Cursors {
        of_key(7)
    }

    #[test]
    fn a_text_that_is_not_a_cursor_of_this_service_is_refused() {
        let (account_id, positions) = (AccountId::new(7), Positions([3; LANES]));
        let cursor = Cursor { account_id, generation: Uuid::from_u128(5), positions };
        let cursors = cursors();
        let text = cursors.encode(CALLER, &cursor);
        assert!(of_key(8).decode(CALLER, &text).is_err(), "a cursor of another deployment");
        assert!(cursors.decode("console", &text).is_err(), "a cursor of another caller");
        for end in 0..text.len() {
            assert!(cursors.decode(CALLER, &text[..end]).is_err(), "cut off after {end}");
        }
        for wrong in ["A".repeat(LONGEST + 1), format!("{text}A"), format!("{text}="), "§".into()]
        {
            assert!(cursors.decode(CALLER, &wrong).is_err(), "{wrong}");
        }
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
            generation: u128,
            positions in proptest::array::uniform16(0..i64::MAX),
        ) {
            let account_id = account_id.and_then(AccountId::new);
            let generation = Uuid::from_u128(generation);
            let cursor = Cursor { account_id, generation, positions: Positions(positions) };
            prop_assert_eq!(cursors().decode(CALLER, &cursors().encode(CALLER, &cursor)).unwrap(), cursor);
        }

        #[test]
        fn a_cursor_with_one_bit_changed_is_refused(
            positions in proptest::array::uniform16(0_i64..100_000),
            at: proptest::sample::Index,
            bit in 0_u32..8,
        ) {
            let positions = Positions(positions);
            let cursor = Cursor { account_id: None, generation: Uuid::from_u128(5), positions };
            let text = cursors().encode(CALLER, &cursor);
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(cursors().decode(CALLER, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }
}
