//! A simulation of several processes that share a row, and tests of one bucket.

use super::*;

/// The row that processes share, as the statement in `storage/quotas.rs` keeps it. Instants are
/// seconds.
#[derive(Debug, Default)]
struct Row {
    full_at: Option<f64>,
    asked: i64,
}

impl Row {
    fn add(&mut self, limit: Limit, counted: Counted, now: f64) -> SharedCount {
        let spent = f64::from(counted.admitted) / limit.rate();
        let alone = now - counted.over.as_secs_f64() + spent;
        let full_at = self.full_at.map_or(alone, |full_at| (full_at + spent).max(alone));
        let full_at = full_at.min(alone + 60.0);
        self.full_at = Some(full_at);
        self.asked += i64::from(counted.asked);
        SharedCount { ahead: full_at - now, asked: self.asked }
    }
}

/// A process in the simulation.
struct Process {
    /// Calls per second that arrive while it runs.
    load: f64,
    runs: std::ops::Range<f64>,
    /// When its rounds begin: the part of a second.
    phase: f64,
    bucket: Option<Bucket>,
    credit: f64,
}

fn process(load: f64, runs: std::ops::Range<f64>, phase: f64) -> Process {
    Process { load, runs, phase, bucket: None, credit: 0.0 }
}

fn limit(per_second: u32) -> Limit {
    let per_second = NonZeroU32::new(per_second).unwrap();
    Limit { per_second, burst: per_second }
}

/// A tick of the simulation in seconds. A round is a thousand ticks.
const TICK: f64 = 0.001;

/// Runs processes with this limit for some seconds. Returns the calls that were admitted in each
/// second.
fn simulate(limit: Limit, mut processes: Vec<Process>, seconds: u32) -> Vec<u32> {
    let (start, mut row) = (Instant::now(), Row::default());
    let mut admitted = vec![0; seconds as usize];
    for tick in 0..seconds * 1000 {
        let at = f64::from(tick) * TICK;
        let now = start + Duration::from_secs_f64(at);
        for process in &mut processes {
            if !process.runs.contains(&at) {
                process.bucket = None;
                continue;
            }
            process.credit += process.load * TICK;
            while process.credit >= 1.0 {
                process.credit -= 1.0;
                let bucket = process.bucket.get_or_insert_with(|| Bucket::new(limit, now));
                let is_admitted =
                    bucket.look(limit, now).is_ok() && bucket.take(limit, now).is_ok();
                admitted[(tick / 1000) as usize] += u32::from(is_admitted);
            }
            let round = (at + process.phase).fract() < TICK;
            let Some(bucket) = process.bucket.as_mut().filter(|_| round) else { continue };
            if let Some(counted) = bucket.report(limit, now) {
                let shared = row.add(limit, counted, at);
                bucket.answered(limit, counted, now, shared, now);
            } else if bucket.is_idle(limit, now) {
                process.bucket = None;
            }
        }
    }
    admitted
}

/// Returns the smallest and the largest part of the limit that was admitted in any 60 seconds.
fn parts(admitted: &[u32], limit: Limit) -> (f64, f64) {
    let sums = admitted.windows(60).map(|window| f64::from(window.iter().sum::<u32>()));
    let parts = sums.map(|sum| sum / (60.0 * limit.rate()));
    parts.fold((f64::MAX, 0.0), |(least, most), part| (part.min(least), part.max(most)))
}

const LIMITS: [u32; 4] = [5, 10, 30, 100];

#[test]
fn processes_under_overload_admit_the_limit_together() {
    for (per_second, count) in LIMITS.iter().flat_map(|limit| [1, 2, 3, 5].map(|n| (*limit, n))) {
        for load in [0.5, 1.5, 4.0] {
            // Each process alone may be below the limit, and all of them are above it.
            let load = f64::from(per_second) * load;
            if load * f64::from(count) < 1.4 * f64::from(per_second) {
                continue;
            }
            let each = |index: u32| process(load, 0.0..1e9, f64::from(index) * 0.37);
            let admitted = simulate(limit(per_second), (0..count).map(each).collect(), 180);
            let (least, most) = parts(&admitted, limit(per_second));
            // The processes do not know of each other in the first round. What they admit in it, the
            // burst and a second for each, is missing in the seconds after it.
            let fewest = (1.0 - 2.0 * f64::from(count) / 60.0).min(0.95);
            assert!(least >= fewest && most <= 1.1, "{per_second} {count} {load}: {least} {most}");
        }
    }
}

#[test]
fn an_uneven_load_gets_the_limit_and_no_more() {
    for per_second in LIMITS {
        let rate = f64::from(per_second);
        for loads in [vec![5.0, 0.1], vec![3.0, 0.4, 0.05], vec![0.9, 0.3, 0.2, 0.1, 0.1]] {
            let each = |(index, load): (u32, &f64)| {
                process(rate * load, 0.0..1e9, f64::from(index) * 0.41)
            };
            let processes = (0..).zip(&loads).map(each).collect();
            let (least, most) =
                parts(&simulate(limit(per_second), processes, 180), limit(per_second));
            assert!(least >= 0.9 && most <= 1.1, "{per_second} {loads:?}: {least} {most}");
        }
    }
}

#[test]
fn a_process_that_starts_or_ends_changes_nothing() {
    for per_second in LIMITS {
        let load = f64::from(per_second) * 2.0;
        let processes = vec![
            process(load, 0.0..1e9, 0.0),
            process(load, 30.5..120.2, 0.3),
            process(load, 60.1..90.7, 0.7),
        ];
        let admitted = simulate(limit(per_second), processes, 180);
        let (least, most) = parts(&admitted, limit(per_second));
        assert!(least >= 0.9 && most <= 1.1, "{per_second}: {least} {most}");
    }
}

#[test]
fn a_load_that_moves_between_processes_gets_the_limit_and_no_more() {
    for per_second in LIMITS {
        let load = f64::from(per_second) * 2.0;
        let turn = |index: i32| {
            // Each runs for 20 seconds in turn, and is as a new process after that.
            process(load, f64::from(index) * 20.0..f64::from(index + 1) * 20.0, 0.2)
        };
        let (least, most) =
            parts(&simulate(limit(per_second), (0..9).map(turn).collect(), 180), limit(per_second));
        assert!(least >= 0.9 && most <= 1.1, "{per_second}: {least} {most}");
    }
}

#[test]
fn of_calls_below_the_limit_at_most_one_in_a_hundred_is_refused() {
    for (per_second, count) in LIMITS.iter().flat_map(|limit| [1, 2, 3, 5].map(|n| (*limit, n))) {
        let load = f64::from(per_second) * 0.95 / f64::from(count);
        let each = |index: u32| process(load, 0.0..1e9, f64::from(index) * 0.37);
        let admitted = simulate(limit(per_second), (0..count).map(each).collect(), 120);
        let asked = f64::from(per_second) * 0.95 * 120.0;
        let refused = asked - f64::from(admitted.iter().sum::<u32>());
        assert!(refused <= asked * 0.01, "{per_second} {count}: {refused} of {asked}");
    }
}

#[test]
fn steady_load_on_several_processes_is_admitted_steadily() {
    let limit = limit(100);
    let each = |index: u32| process(200.0, 0.0..1e9, f64::from(index) * 0.37);
    let admitted = simulate(limit, (0..3).map(each).collect(), 60);
    let steady = &admitted[15..];
    assert!(steady.iter().all(|second| (60..=140).contains(second)), "{admitted:?}");
}

#[test]
fn a_bucket_has_its_burst_and_then_its_rate() {
    let (limit, start) = (limit(5), Instant::now());
    let mut bucket = Bucket::new(limit, start);
    for _ in 0..5 {
        bucket.take(limit, start).unwrap();
    }
    assert_eq!(bucket.look(limit, start), Err(Duration::from_millis(200)));
    assert_eq!(bucket.take(limit, start), Err(Duration::from_millis(200)));
    let later = start + Duration::from_millis(200);
    bucket.take(limit, later).unwrap();
    assert!(bucket.take(limit, later).is_err());
}

#[test]
fn a_look_takes_nothing() {
    let (limit, start) = (limit(5), Instant::now());
    let mut bucket = Bucket::new(limit, start);
    for _ in 0..100 {
        bucket.look(limit, start).unwrap();
    }
    assert_eq!(bucket.report(limit, start), None);
}

#[test]
fn counts_that_could_not_be_added_are_forgotten() {
    let (limit, start) = (limit(5), Instant::now());
    let mut bucket = Bucket::new(limit, start);
    bucket.take(limit, start).unwrap();
    let counted = bucket.report(limit, start).unwrap();
    bucket.forget(counted, start);
    assert_eq!(bucket.report(limit, start + Duration::from_secs(1)), None);
}

#[test]
fn a_bucket_that_was_not_used_for_a_round_is_idle_once_its_calls_are_paid_for() {
    let (limit, start) = (limit(5), Instant::now());
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let mut bucket = Bucket::new(limit, start);
    bucket.take(limit, start).unwrap();
    let counted = bucket.report(limit, at(1000)).unwrap();
    let shared = SharedCount { ahead: 3.0, asked: 15 };
    bucket.answered(limit, counted, at(1000), shared, at(1000));
    assert!(bucket.look(limit, at(2900)).is_err(), "it admits nothing for two seconds");
    assert_eq!(bucket.report(limit, at(3000)).map(|counted| counted.admitted), Some(0));
    assert!(!bucket.is_idle(limit, at(3900)) && bucket.is_idle(limit, at(4100)));
}

#[test]
fn a_call_that_read_the_clock_before_another_core_did_is_admitted() {
    let (limit, earlier) = (limit(5), Instant::now());
    let mut bucket = Bucket::new(limit, earlier);
    bucket.take(limit, earlier + Duration::from_micros(3)).unwrap();
    bucket.take(limit, earlier).unwrap();
    // A bucket that is closed stays closed.
    let counted = Counted { admitted: 2, asked: 2, over: Duration::from_secs(1) };
    let shared = SharedCount { ahead: 3.0, asked: 15 };
    bucket.answered(limit, counted, earlier, shared, earlier);
    assert!(bucket.take(limit, earlier + Duration::from_millis(1900)).is_err());
    assert!(bucket.take(limit, earlier + Duration::from_millis(2100)).is_ok());
}
