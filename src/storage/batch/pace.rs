//! How fast the statements of a batcher are, and what follows from it for the next ones.

use std::time::Duration;

/// A statement that runs for twice the usual time is late. Bounds of that: below the first it is
/// noise, and above the second it waits for a disk or a lock, be that usual or not.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));
/// How many statements are judged together.
const WINDOW: u32 = 16;
/// The way to the database may become longer, or have seemed short when a statement failed: for each
/// second of statements it is taken to be ten microseconds longer than it was.
const FORGETTING: u32 = 100_000;
/// Statements with fewer questions are not judged: what they asked for may all have been read just
/// before. Nor do fewer make a statement of their own.
pub(super) const FEWEST: usize = 4;
/// A question that waits for a disk takes longer than this: with a fast one, 50 to 130 µs in the fastest
/// statement of a window. With rows in memory that is 10, and 25 where processors are short.
const FROM_DISK: Duration = Duration::from_micros(35);

/// What is known of the statements that have ended.
#[derive(Debug)]
pub(super) struct Pace {
    /// What a statement takes as a rule.
    usual: Duration,
    /// The least that a statement took: the way to the database and back.
    way: Duration,
    /// The least that each question took beyond that, in the statements of this window.
    least_each: Duration,
    /// How many statements are in this window.
    in_window: u32,
    waits_for_disk: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            usual: Duration::ZERO,
            way: Duration::MAX,
            least_each: Duration::MAX,
            in_window: 0,
            waits_for_disk: false,
        }
    }
}

impl Pace {
    /// After how long a statement is late.
    pub fn patience(&self) -> Duration {
        (2 * self.usual).clamp(PATIENCE.0, PATIENCE.1)
    }

    /// Whether even the fastest of the last statements waited for a disk. On the average a question
    /// takes as long where processors are short, and more statements would make them shorter.
    pub fn waits_for_disk(&self) -> bool {
        self.waits_for_disk
    }

    /// Takes note of how long a statement took, and how many questions it had.
    pub fn took(&mut self, time: Duration, questions: usize) {
        // The last eight or so count.
        self.usual = (7 * self.usual + time) / 8;
        self.way = time.min(self.way.saturating_add(time / FORGETTING));
        if questions < FEWEST {
            return;
        }
        let each = time.saturating_sub(self.way) / u32::try_from(questions).unwrap_or(u32::MAX);
        self.least_each = self.least_each.min(each);
        self.in_window += 1;
        if self.in_window == WINDOW {
            self.waits_for_disk = self.least_each > FROM_DISK;
            (self.in_window, self.least_each) = (0, Duration::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// What is known after so many statements of eight questions, each of which takes so long, on top
    /// of a way to the database and back.
    fn after(pace: &mut Pace, statements: u32, each: u64, way: u64) -> bool {
        (0..statements).for_each(|_| pace.took(micros(way + 8 * each), 8));
        pace.waits_for_disk()
    }

    #[test]
    fn a_statement_is_late_after_twice_the_usual_time_within_bounds() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(), Duration::from_millis(5));
        (0..100).for_each(|_| pace.took(Duration::from_millis(4), 8));
        assert!((7..=8).contains(&pace.patience().as_millis()), "{:?}", pace.patience());
        (0..100).for_each(|_| pace.took(Duration::from_secs(4), 8));
        assert_eq!(pace.patience(), Duration::from_millis(20));
    }

    #[test]
    fn a_disk_is_known_by_what_each_question_takes_and_not_by_a_long_way() {
        for way in [60, 2_000] {
            let mut pace = Pace::default();
            pace.took(micros(way), 1);
            assert!(!after(&mut pace, 2 * WINDOW, 10, way), "memory");
            assert!(after(&mut pace, 2 * WINDOW, 80, way), "disk");
            assert!(!after(&mut pace, 2 * WINDOW, 10, way), "memory, once more");
        }
        assert!(!after(&mut Pace::default(), 2 * WINDOW, 80, 60), "no way is known");
    }

    #[test]
    fn a_way_that_has_become_longer_is_known_after_a_minute_or_two() {
        let mut pace = Pace::default();
        pace.took(micros(20), 1); // it failed at once
        let way = 1_000;
        assert!(after(&mut pace, 20_000, 10, way), "20 s");
        assert!(!after(&mut pace, 100_000, 10, way), "100 s more: {pace:?}");
    }

    #[test]
    fn one_fast_statement_of_a_window_is_enough_to_know_that_it_is_no_disk() {
        let mut pace = Pace::default();
        pace.took(micros(60), 1);
        for _ in 0..4 {
            after(&mut pace, WINDOW - 1, 200, 60);
            assert!(!after(&mut pace, 1, 20, 60), "{pace:?}");
        }
    }
}
