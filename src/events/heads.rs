//! The heads of the log with its generations. They decide whether a cursor of an earlier generation
//! is still valid.

use std::sync::Arc;

use uuid::Uuid;

use super::{Cursor, Positions, lanes_of};
use crate::error::Error;
use crate::storage::Generation;

/// The position of the newest event in each lane, and the generations of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    /// The positions, in the newest generation.
    pub positions: Positions,
    /// The generations, the newest first. There is at least one.
    generations: Arc<[Generation]>,
}

impl Heads {
    /// Creates the heads that were read in a generation. `generations` may have been read later, and
    /// may have newer ones, which are left out. Returns `None` if the generation is not among them.
    pub fn new(positions: Positions, generation: Uuid, generations: &[Generation]) -> Option<Self> {
        let newest = generations.iter().position(|one| one.id == generation)?;
        Some(Self { positions, generations: generations[newest..].into() })
    }

    /// Returns later heads of the same generation.
    pub fn moved_to(&self, positions: Positions) -> Self {
        Self { positions, generations: Arc::clone(&self.generations) }
    }

    /// Returns the newest generation.
    pub fn generation(&self) -> Uuid {
        self.generations[0].id
    }

    /// Returns whether a generation is the newest one, or an earlier one that is known.
    pub fn knows(&self, generation: Uuid) -> bool {
        self.generations.iter().any(|known| known.id == generation)
    }

    /// Returns the newest position of each lane that all generations since this one have kept: up to
    /// there, the log is the same. Returns `None` if the generation is not known.
    pub fn kept_since(&self, generation: Uuid) -> Option<Positions> {
        let since = self.generations.iter().position(|known| known.id == generation)?;
        let later = &self.generations[..since];
        let kept = |lane: usize| later.iter().map(|one| one.kept_positions[lane]).min();
        Some(Positions(std::array::from_fn(|lane| kept(lane).unwrap_or(i64::MAX))))
    }

    /// Returns the cursor as one of the newest generation. Each generation since that of the cursor
    /// must have kept every event that the follower has seen. Returns `None` if the generation of the
    /// cursor is not known.
    pub fn carry(&self, cursor: &Cursor) -> Result<Option<Cursor>, Error> {
        if cursor.generation == self.generation() {
            return Ok(Some(*cursor));
        }
        let Some(kept) = self.kept_since(cursor.generation) else { return Ok(None) };
        let is_kept = |lane: usize| cursor.positions.0[lane] <= kept.0[lane];
        if !lanes_of(cursor.account_id).all(is_kept) {
            return Err(Error::CursorExpired);
        }
        Ok(Some(Cursor { generation: self.generation(), ..*cursor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AccountId;
    use crate::domain::event::LANES;
    use crate::ids::new_id;

    fn generation(kept: i64) -> Generation {
        Generation { id: new_id(), kept_positions: [kept; LANES] }
    }

    fn cursor(of: &Generation, position: i64) -> Cursor {
        let positions = Positions([position; LANES]);
        Cursor { account_id: None, generation: of.id, positions }
    }

    #[test]
    fn a_cursor_is_valid_up_to_what_every_later_generation_has_kept() {
        let (newest, middle, oldest) = (generation(30), generation(20), generation(0));
        let generations = [newest.clone(), middle.clone(), oldest.clone()];
        let heads = Heads::new(Positions([40; LANES]), newest.id, &generations).unwrap();
        for (cursor, is_valid) in [
            (cursor(&newest, 35), true),
            (cursor(&middle, 30), true),
            (cursor(&middle, 31), false),
            (cursor(&oldest, 20), true),
            (cursor(&oldest, 21), false),
        ] {
            let carried = heads.carry(&cursor);
            assert_eq!(carried.is_ok(), is_valid, "{cursor:?}");
            let Ok(carried) = carried else { continue };
            assert_eq!(carried, Some(Cursor { generation: newest.id, ..cursor }));
        }
        assert_eq!(heads.carry(&cursor(&generation(0), 1)).unwrap(), None);
    }

    #[test]
    fn only_the_lanes_that_are_followed_count() {
        let (newest, oldest) = (generation(5), generation(0));
        let heads = Heads::new(Positions([9; LANES]), newest.id, &[newest.clone(), oldest.clone()]);
        let heads = heads.unwrap();
        let mut of_one = Cursor { account_id: AccountId::new(3), ..cursor(&oldest, 9) };
        assert!(heads.carry(&of_one).is_err());
        of_one.positions.0[3] = 5;
        assert!(heads.carry(&of_one).is_ok(), "the other lanes have no events of the account");
    }

    #[test]
    fn generations_that_began_after_the_heads_were_read_are_left_out() {
        let (newest, middle, oldest) = (generation(3), generation(2), generation(0));
        let generations = [newest.clone(), middle.clone(), oldest];
        let heads = Heads::new(Positions::default(), middle.id, &generations).unwrap();
        assert_eq!((heads.generation(), heads.knows(newest.id)), (middle.id, false));
        assert_eq!(Heads::new(Positions::default(), new_id(), &generations), None);
    }
}
