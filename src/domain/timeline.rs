//! Dated changes. What is in force at an instant is a pure function of the opening and the changes.
//! It is not a stored status.
//!
//! Intervals are half-open: a change is in force *from* its effective time, inclusive.

use uuid::Uuid;

use super::time::Time;

/// A decision that another charge type is in force from an instant on. A timeline has no cancelled
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Its id.
    pub change_id: Uuid,
    /// The charge type.
    pub charge_type: T,
    /// When it was submitted.
    pub submitted_at: Time,
    /// The first instant at which it is in force.
    pub effective_time: Time,
    /// Whether its in-force event is written. It does not say whether the change is in force.
    pub settled: bool,
}

impl<T> Change<T> {
    /// Returns the same change with its charge type converted.
    #[must_use]
    pub fn map<U>(self, charge_type: impl FnOnce(T) -> U) -> Change<U> {
        Change {
            change_id: self.change_id,
            charge_type: charge_type(self.charge_type),
            submitted_at: self.submitted_at,
            effective_time: self.effective_time,
            settled: self.settled,
        }
    }
}

/// The charge types at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce<T> {
    /// The charge type.
    pub current: T,
    /// The first change that takes effect after the instant.
    pub next: Option<Change<T>>,
}

/// One charge type during a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// The charge type.
    pub charge_type: T,
    /// Start, inclusive.
    pub start: Time,
    /// End, exclusive.
    pub end: Time,
}

/// The charge type of the opening and its dated changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<T> {
    opening: T,
    /// Sorted by effective time. Of two with the same one, the change that was submitted later
    /// counts.
    changes: Vec<Change<T>>,
}

impl<T: Copy + Eq> Timeline<T> {
    /// Returns the timeline of an opening and its changes, which can be in any order.
    #[must_use]
    pub fn new(opening: T, mut changes: Vec<Change<T>>) -> Self {
        changes
            .sort_by_key(|change| (change.effective_time, change.submitted_at, change.change_id));
        Self { opening, changes }
    }

    /// Returns the charge type in force at `at`, and the next change after it.
    #[must_use]
    pub fn in_force(&self, at: Time) -> InForce<T> {
        let after = self.changes.partition_point(|change| change.effective_time <= at);
        let current = self.changes[..after].last().map_or(self.opening, |last| last.charge_type);
        InForce { current, next: self.changes.get(after).copied() }
    }

    /// Returns the change that was submitted last, even if it has taken effect.
    #[must_use]
    pub fn last_submitted(&self) -> Option<&Change<T>> {
        self.changes.iter().max_by_key(|change| (change.submitted_at, change.change_id))
    }

    /// Returns the change that has taken effect by `at` and whose event is not written. It blocks
    /// the next change in storage until it is settled.
    #[must_use]
    pub fn due(&self, at: Time) -> Option<&Change<T>> {
        self.changes.iter().find(|change| !change.settled && change.effective_time <= at)
    }

    /// Returns the charge types from `start` to `end`, oldest first. Adjacent spans of one charge
    /// type are joined. `opened` is the start of the timeline: there is no charge type before it.
    #[must_use]
    pub fn spans(&self, opened: Time, start: Time, end: Time) -> Vec<Span<T>> {
        let mut from = start.max(opened);
        let mut spans: Vec<Span<T>> = Vec::new();
        while from < end {
            let InForce { current, next } = self.in_force(from);
            let until = next.map_or(end, |change| change.effective_time.min(end));
            match spans.last_mut() {
                Some(last) if last.charge_type == current => last.end = until,
                _ => spans.push(Span { charge_type: current, start: from, end: until }),
            }
            from = until;
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap()
    }

    fn change(charge_type: u8, submitted: i64, effective: i64) -> Change<u8> {
        Change {
            change_id: Uuid::from_u128(u128::try_from(submitted).unwrap()),
            charge_type,
            submitted_at: at(submitted),
            effective_time: at(effective),
            settled: false,
        }
    }

    #[test]
    fn a_change_takes_effect_at_its_effective_time() {
        let timeline = Timeline::new(0, vec![change(1, 10, 100)]);
        assert_eq!(timeline.in_force(at(99)).current, 0);
        assert_eq!(timeline.in_force(at(100)).current, 1);
        assert_eq!(timeline.in_force(at(100)).next, None);
        assert_eq!(timeline.due(at(99)), None);
        assert!(timeline.due(at(100)).is_some());
    }

    #[test]
    fn spans_are_clipped_and_adjacent_spans_of_one_type_are_joined() {
        let timeline =
            Timeline::new(0, vec![change(0, 1, 50), change(1, 2, 100), change(2, 3, 200)]);
        let spans = timeline.spans(at(10), at(0), at(150));
        assert_eq!(
            spans,
            [
                Span { charge_type: 0, start: at(10), end: at(100) },
                Span { charge_type: 1, start: at(100), end: at(150) },
            ]
        );
        assert_eq!(timeline.spans(at(10), at(0), at(10)), []);
    }

    proptest! {
        #[test]
        fn the_order_of_insertion_does_not_change_a_timeline(
            changes in prop::collection::vec((0u8..9, 0i64..50, 0i64..100), 0..8),
            instant in 0i64..110,
        ) {
            let changes: Vec<_> = changes
                .into_iter()
                .enumerate()
                .map(|(index, (charge_type, submitted, effective))| {
                    let index = i64::try_from(index).unwrap();
                    change(charge_type, submitted * 10 + index, effective)
                })
                .collect();
            let mut reversed = changes.clone();
            reversed.reverse();
            let timeline = Timeline::new(9, changes.clone());
            prop_assert_eq!(&timeline, &Timeline::new(9, reversed));

            let InForce { current, next } = timeline.in_force(at(instant));
            let expected = changes
                .iter()
                .filter(|change| change.effective_time <= at(instant))
                .max_by_key(|change| (change.effective_time, change.submitted_at, change.change_id))
                .map_or(9, |change| change.charge_type);
            prop_assert_eq!(current, expected);
            if let Some(next) = next {
                prop_assert!(next.effective_time > at(instant));
                let moved = timeline.in_force(next.effective_time);
                let same_instant = changes.iter().filter(|c| c.effective_time == next.effective_time);
                prop_assert!(same_instant.into_iter().any(|c| c.charge_type == moved.current));
            }
        }

        #[test]
        fn spans_cover_exactly_the_requested_time(
            changes in prop::collection::vec((0u8..3, 0i64..100), 0..8),
            opened in 0i64..60, start in 0i64..60, length in 0i64..60,
        ) {
            let changes = changes
                .into_iter()
                .enumerate()
                .map(|(index, (charge_type, effective))| change(charge_type, i64::try_from(index).unwrap(), effective))
                .collect();
            let timeline = Timeline::new(9, changes);
            let (opened, start, end) = (at(opened), at(start), at(start + length));
            let spans = timeline.spans(opened, start, end);
            let mut from = start.max(opened);
            for span in &spans {
                prop_assert_eq!(span.start, from);
                prop_assert!(span.start < span.end);
                prop_assert_eq!(timeline.in_force(span.start).current, span.charge_type);
                from = span.end;
            }
            prop_assert_eq!(from.max(end), if spans.is_empty() { from.max(end) } else { end });
            prop_assert!(spans.windows(2).all(|pair| pair[0].charge_type != pair[1].charge_type));
        }
    }
}
