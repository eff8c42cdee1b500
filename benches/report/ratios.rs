//! The second table: the ratios that the project promises, each with its goal and with the mark
//! that once sounded impossible. A ratio is taken in each round, between rows of that round.

use super::Extras;
use crate::rounds::rows::{PGBENCH_DESCRIBE, PGBENCH_OPEN};
use crate::rounds::{Action, Measured, Result, Row, Spread, Subject, counted};
use crate::subjects::Peer;
use Action::{Describe, Open};
use Metric::{Cpu, P50, P99, Rate};
use Subject::{Echo, Ours, Textbook};

/// What of a row is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Rate,
    Cpu,
    P50,
    P99,
}

/// What it is compared with.
#[derive(Clone, Copy, Debug)]
enum Against {
    Row(Row),
    /// pgbench with the number of clients that gives it the best median.
    BestPgbench(Action),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is divided by what.
    pub what: String,
    /// What is promised.
    pub goal: Option<f64>,
    /// What would be more than that.
    pub moonshot: Option<f64>,
    /// Whether less is better.
    pub less_is_better: bool,
    /// What was measured.
    pub value: Option<Spread>,
}

impl Line {
    /// How far the median got.
    pub fn mark(&self) -> &'static str {
        let Some(value) = self.value else { return "not measured" };
        let reaches = |mark: Option<f64>| {
            mark.is_some_and(|mark| {
                if self.less_is_better { value.median <= mark } else { value.median >= mark }
            })
        };
        match () {
            () if reaches(self.moonshot) => "MOONSHOT",
            () if reaches(self.goal) => "reached",
            () if self.goal.is_none() => "not yet",
            () => "MISSED",
        }
    }
}

/// Describe by `callers` over gRPC.
const fn describe(subject: Subject, callers: usize) -> Row {
    Row::grpc(Describe, subject, callers)
}

/// Open by `callers` over gRPC.
const fn open(subject: Subject, callers: usize) -> Row {
    Row::grpc(Open, subject, callers)
}

/// All lines.
pub fn lines(results: &[Result], extras: &Extras) -> Vec<Line> {
    let mut lines = compared_with_the_database(results);
    lines.extend(compared_with_servers(results));
    lines.extend(absolute(results, extras));
    lines
}

fn compared_with_the_database(results: &[Result]) -> Vec<Line> {
    let ratio = |metric, row, action, goal, moonshot| {
        line(results, metric, row, Against::BestPgbench(action), (goal, moonshot))
    };
    vec![
        ratio(Rate, describe(Ours, 64), Describe, Some(1.7), None),
        ratio(Rate, describe(Ours, 256), Describe, None, Some(3.5)),
        ratio(Cpu, describe(Ours, 64), Describe, Some(0.55), Some(0.25)),
        ratio(Rate, open(Ours, 64), Open, Some(2.8), None),
        ratio(Rate, open(Ours, 256), Open, None, Some(5.0)),
    ]
}

fn compared_with_servers(results: &[Result]) -> Vec<Line> {
    let ratio = |metric, row, other, goal, moonshot| {
        line(results, metric, row, Against::Row(other), (goal, moonshot))
    };
    let textbook = describe(Textbook, 64);
    let peer = |peer| describe(Subject::Peer(peer), 64);
    let ours = describe(Ours, 64);
    vec![
        ratio(Rate, ours, textbook, Some(6.0), Some(8.0)),
        ratio(Cpu, ours, textbook, Some(0.2), Some(0.13)),
        ratio(P99, ours, textbook, Some(0.25), Some(0.14)),
        ratio(P50, describe(Ours, 1), describe(Textbook, 1), Some(1.05), Some(0.9)),
        ratio(Cpu, open(Ours, 64), open(Textbook, 64), Some(0.15), Some(0.08)),
        ratio(Rate, ours, describe(Echo, 64), Some(0.85), None),
        ratio(Rate, describe(Ours, 256), describe(Echo, 256), None, Some(1.3)),
        ratio(Rate, ours, peer(Peer::Go), Some(6.0), Some(8.0)),
        ratio(Rate, ours, peer(Peer::Node), Some(18.0), Some(26.0)),
        ratio(Rate, ours, peer(Peer::Python), Some(30.0), Some(43.0)),
        ratio(Rate, Row::rest(Describe, 64), ours, Some(0.5), Some(0.8)),
    ]
}

/// Those that are no ratios.
fn absolute(results: &[Result], extras: &Extras) -> Vec<Line> {
    let line = |what: &str, goal, moonshot, value| Line {
        what: what.to_owned(),
        goal: Some(goal),
        moonshot: Some(moonshot),
        less_is_better: true,
        value,
    };
    let memory = |row| {
        let rounds = rounds_of(results, row)?;
        Spread::of(rounds.iter().filter_map(|measured| measured.rss_mib))
    };
    vec![
        line("signature and canonical form, µs", 1.0, 0.6, extras.signature_us),
        line("peak memory, Describe gRPC 256, MiB", 24.0, 16.0, memory(describe(Ours, 256))),
        line(
            "peak memory, Describe signed REST 256, MiB",
            24.0,
            16.0,
            memory(Row::rest(Describe, 256)),
        ),
        line("start to first answer, ms", 25.0, 10.0, extras.start_ms),
        line("binary, MB", 8.0, 4.0, Spread::of(extras.binary_mb)),
    ]
}

fn line(
    results: &[Result],
    metric: Metric,
    row: Row,
    against: Against,
    (goal, moonshot): (Option<f64>, Option<f64>),
) -> Line {
    let other = match against {
        Against::Row(other) => Some(other),
        Against::BestPgbench(action) => best_pgbench(results, action),
    };
    let name = match (against, other) {
        (Against::Row(other), _) => other.to_string(),
        (Against::BestPgbench(action), None) => format!("{action} pgbench best"),
        (Against::BestPgbench(action), Some(other)) => {
            format!("{action} pgbench best ({})", other.callers)
        }
    };
    let what = match metric {
        Rate => "",
        Cpu => "CPU per call: ",
        P50 => "p50: ",
        P99 => "p99: ",
    };
    Line {
        what: format!("{what}{row} ÷ {name}"),
        goal,
        moonshot,
        less_is_better: metric != Rate,
        value: other.and_then(|other| by_round(results, metric, row, other)),
    }
}

/// The ratio in each round, of those that are clean in both rows.
fn by_round(results: &[Result], metric: Metric, row: Row, other: Row) -> Option<Spread> {
    let (rounds, others) = (rounds_of(results, row)?, rounds_of(results, other)?);
    let pairs: Vec<_> =
        rounds.iter().zip(others).filter(|(a, b)| a.failed + b.failed == 0).collect();
    let clean = counted(&pairs, |(a, b)| a.is_clean() && b.is_clean());
    let ratios = clean
        .into_iter()
        .filter_map(|(of, by)| Some(metric.of(of, row.subject)? / metric.of(by, other.subject)?));
    Spread::of(ratios)
}

/// The row of pgbench with the best median.
pub fn best_pgbench(results: &[Result], action: Action) -> Option<Row> {
    let clients: &[usize] = if action == Describe { &PGBENCH_DESCRIBE } else { &PGBENCH_OPEN };
    let median = |row: &Row| {
        let rounds = rounds_of(results, *row)?;
        let rounds = counted(rounds, Measured::is_clean);
        Some(Spread::of(rounds.iter().map(|measured| measured.per_second))?.median)
    };
    let rows = clients.iter().map(|clients| Row::pgbench(action, *clients));
    let rows = rows.filter_map(|row| Some((row, median(&row)?)));
    rows.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(row, _)| row)
}

fn rounds_of(results: &[Result], row: Row) -> Option<&[Measured]> {
    let result = results.iter().find(|result| result.row == row)?;
    Some(&result.rounds)
}

impl Metric {
    fn of(self, measured: &Measured, subject: Subject) -> Option<f64> {
        match self {
            Rate => Some(measured.per_second),
            // pgbench is the client of the database that a service is: it counts.
            Cpu if subject == Subject::Pgbench => {
                Some(measured.database_cpu() + measured.client_cpu())
            }
            Cpu => Some(measured.total_cpu()),
            P50 => Some(measured.p50_ms),
            P99 => measured.p99_ms,
        }
    }
}
