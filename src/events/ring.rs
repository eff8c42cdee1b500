//! The newest events of all lanes, in memory. Followers that keep up read from this ring. It is
//! bounded in number and in bytes; the event that arrived first is dropped first.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::heads::Heads;
use crate::domain::AccountId;
use crate::domain::event::LANES;
use crate::proto::convert::timestamp;
use crate::proto::event;
use crate::proto::events::v1 as wire;
use crate::storage::LoggedEvent;

/// Largest number of events in the ring.
const MOST_EVENTS: usize = 16_384;
/// Largest size of these events in bytes, as counted by [`FeedEvent::bytes`].
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Largest number of events that one read examines in search of an account's events.
const MOST_EXAMINED: usize = 1024;
/// The CloudEvents source of every event.
const SOURCE: &str = "//cdn-activation";
/// Bytes that an event takes in addition to its texts and payload: the message, and the entries in
/// the queues of the ring.
const OVERHEAD: usize = 320;

/// An event with its lane and position.
#[derive(Debug)]
pub struct FeedEvent {
    /// Its lane.
    pub lane: usize,
    /// Its position in the lane.
    pub position: i64,
    /// What followers receive.
    pub event: wire::Event,
    bytes: usize,
}

impl FeedEvent {
    /// Decodes an event of the log. A payload that does not decode is a fault of the service and is
    /// logged; the event is delivered without it, because it happened and later events must not
    /// wait for it.
    pub(super) fn new(lane: usize, logged: LoggedEvent) -> Self {
        let (position, account_id) = (logged.position, logged.account_id);
        let bytes = OVERHEAD + logged.data.len() * 2 + logged.type_name.len();
        let data = event::decode(&logged.data);
        if let Err(error) = &data {
            tracing::error!(lane, position, %error, "cannot decode the payload of an event");
        }
        let event = wire::Event {
            id: logged.event_id.to_string(),
            source: SOURCE.to_owned(),
            r#type: logged.type_name,
            subject: format!("accounts/{account_id}"),
            time: Some(timestamp(logged.time)),
            account_id,
            data: data.ok(),
        };
        Self { lane, position, event, bytes }
    }
}

/// Events that were read from a lane of the ring.
#[derive(Debug)]
pub(super) struct Held {
    pub events: Vec<Arc<FeedEvent>>,
    /// The position up to which all events were examined.
    pub passed: i64,
}

/// Consecutive events of a lane, in memory.
#[derive(Debug, Default)]
struct HeldLane {
    /// The position before the first event in memory. If there is none, the position before the
    /// next event that is added.
    before: i64,
    events: VecDeque<Arc<FeedEvent>>,
}

/// The newest events.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The generation of the events; `None` before the log is read for the first time.
    generation: Option<Uuid>,
    lanes: [HeldLane; LANES],
    /// The lanes of the events, in the order in which the events arrived.
    arrivals: VecDeque<usize>,
    bytes: usize,
}

impl Ring {
    /// Returns the position of the newest event of a lane that was added to the ring, or at which
    /// the lane begins if there is none.
    pub fn head(&self, lane: usize) -> i64 {
        let lane = &self.lanes[lane];
        lane.events.back().map_or(lane.before, |event| event.position)
    }

    /// Drops the events of a lane; its next event is the one after `before`.
    pub fn restart(&mut self, lane: usize, before: i64) {
        self.arrivals.retain(|arrival| *arrival != lane);
        let held =
            std::mem::replace(&mut self.lanes[lane], HeldLane { before, events: VecDeque::new() });
        self.bytes -= held.events.iter().map(|event| event.bytes).sum::<usize>();
    }

    /// Drops all events; the next event of each lane is the one after its head.
    pub fn begin_after(&mut self, heads: &Heads) {
        let before = |lane: usize| heads.positions.0[lane];
        let lane = |lane| HeldLane { before: before(lane), events: VecDeque::new() };
        let (lanes, arrivals) = (std::array::from_fn(lane), VecDeque::new());
        *self = Self { generation: Some(heads.generation()), lanes, arrivals, bytes: 0 };
    }

    /// Continues in the generation of these heads. Lanes keep their events unless the generation lacks
    /// one of them, so that followers which have seen all do not read from the database at once.
    pub fn change_generation(&mut self, heads: &Heads) {
        let Some(kept) = self.generation.and_then(|earlier| heads.kept_since(earlier)) else {
            return self.begin_after(heads);
        };
        for lane in 0..LANES {
            if self.head(lane) > kept.0[lane] {
                self.restart(lane, kept.0[lane]);
            }
        }
        self.generation = Some(heads.generation());
    }

    /// Adds the event after the head of its lane.
    pub fn push(&mut self, event: FeedEvent) {
        debug_assert_eq!(event.position, self.head(event.lane) + 1);
        self.bytes += event.bytes;
        self.arrivals.push_back(event.lane);
        self.lanes[event.lane].events.push_back(Arc::new(event));
        while self.arrivals.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.arrivals.pop_front() else { break };
            let lane = &mut self.lanes[oldest];
            if let Some(event) = lane.events.pop_front() {
                lane.before = event.position;
                self.bytes -= event.bytes;
            }
        }
    }

    /// Does the same as [`Ring::after`] if the events are of this generation. Returns `None` if they
    /// are of another one.
    pub fn after_in(
        &self,
        generation: Uuid,
        lane: usize,
        after: i64,
        limit: usize,
        account_id: Option<AccountId>,
    ) -> Option<Held> {
        let is_same = self.generation == Some(generation);
        is_same.then(|| self.after(lane, after, limit, account_id)).flatten()
    }

    /// Returns at most `limit` events of a lane after a position, of all accounts or of one.
    /// Returns `None` if the first event after that position is not in the ring any more.
    fn after(
        &self,
        lane: usize,
        after: i64,
        limit: usize,
        account_id: Option<AccountId>,
    ) -> Option<Held> {
        let lane = &self.lanes[lane];
        let skipped = usize::try_from(after.checked_sub(lane.before)?).ok()?;
        let mut held = Held { events: Vec::new(), passed: after };
        for event in lane.events.iter().skip(skipped).take(MOST_EXAMINED) {
            if held.events.len() == limit {
                break;
            }
            held.passed = event.position;
            if account_id.is_none_or(|account_id| event.event.account_id == account_id.get()) {
                held.events.push(Arc::clone(event));
            }
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Positions;
    use crate::ids::new_id;
    use crate::storage::Generation;

    fn event(lane: usize, position: i64, account_id: i64, bytes: usize) -> FeedEvent {
        let event = wire::Event { account_id, ..Default::default() };
        FeedEvent { lane, position, event, bytes }
    }

    fn positions(held: &Held) -> Vec<i64> {
        held.events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn a_lane_is_read_from_the_first_event_that_is_held() {
        let mut ring = Ring::default();
        ring.restart(3, 10);
        for position in 11..=15 {
            ring.push(event(3, position, position % 2 + 1, 1));
        }
        assert!(ring.after(3, 9, 10, None).is_none(), "the database has what came before");
        assert_eq!(positions(&ring.after(3, 10, 10, None).unwrap()), [11, 12, 13, 14, 15]);
        let part = ring.after(3, 12, 2, None).unwrap();
        assert_eq!((positions(&part), part.passed), (vec![13, 14], 14));
        let of_one = ring.after(3, 10, 10, AccountId::new(2)).unwrap();
        assert_eq!((positions(&of_one), of_one.passed), (vec![11, 13, 15], 15));
        let nothing = ring.after(3, 15, 10, None).unwrap();
        assert_eq!((positions(&nothing), nothing.passed), (vec![], 15));
        // The position is newer than this process knows: no event follows it, and the follower is
        // not set back.
        assert_eq!(ring.after(3, 20, 10, None).unwrap().passed, 20);
    }

    #[test]
    fn the_ring_is_bounded_in_number_and_in_bytes() {
        let mut ring = Ring::default();
        for position in 1..=20_000 {
            ring.push(event(0, position, 1, 1));
        }
        assert_eq!((ring.arrivals.len(), ring.lanes[0].events.len()), (MOST_EVENTS, MOST_EVENTS));
        assert_eq!(ring.lanes[0].before, 20_000 - 16_384);
        ring.push(event(1, 1, 1, MOST_BYTES));
        assert_eq!((ring.bytes, ring.lanes[0].events.len()), (MOST_BYTES, 0));
        assert_eq!((ring.head(0), ring.head(1)), (20_000, 1));
        ring.restart(1, 7);
        assert_eq!((ring.bytes, ring.arrivals.len(), ring.head(1)), (0, 0, 7));
        ring.push(event(1, 8, 1, 1));
        let mut heads = Positions::default();
        (heads.0[1], heads.0[2]) = (9, 3);
        let generation = Generation { id: new_id(), kept_positions: [0; LANES] };
        let id = generation.id;
        ring.begin_after(&Heads::new(heads, id, &[generation]).unwrap());
        assert_eq!((ring.bytes, ring.head(1), ring.head(2)), (0, 9, 3));
        assert!(ring.after(1, 8, 1, None).is_none(), "the database has it");
        ring.push(event(1, 10, 1, 1));
        assert_eq!(positions(&ring.after_in(id, 1, 9, 1, None).unwrap()), [10]);
        assert!(ring.after_in(new_id(), 1, 9, 1, None).is_none(), "of another generation");
    }

    #[test]
    fn a_lane_without_lost_events_is_kept_in_the_next_generation() {
        let generation = |kept| Generation { id: new_id(), kept_positions: [kept; LANES] };
        let (first, second) = (generation(0), generation(12));
        let heads = |positions, generations: &[Generation]| {
            Heads::new(Positions([positions; LANES]), generations[0].id, generations).unwrap()
        };
        let mut ring = Ring::default();
        ring.change_generation(&heads(10, std::slice::from_ref(&first)));
        for lane in 0..2 {
            for position in 11..=12 {
                ring.push(event(lane, position, 1, 1));
            }
        }
        ring.push(event(1, 13, 1, 1)); // the second generation lacks it
        ring.change_generation(&heads(20, &[second.clone(), first.clone()]));
        assert!(ring.after_in(first.id, 0, 10, 9, None).is_none());
        let kept = ring.after_in(second.id, 0, 10, 9, None).unwrap();
        assert_eq!(positions(&kept), [11, 12]);
        assert!(ring.after_in(second.id, 1, 11, 9, None).is_none());
        assert_eq!((ring.head(1), ring.bytes), (12, 2));
        ring.change_generation(&heads(20, &[generation(0)]));
        assert_eq!((ring.head(0), ring.bytes), (20, 0), "a log that is not known");
    }
}
