//! The table on the terminal: what a call costs with each program, and in proportion to ours.

use crate::rounds::{Action, Measured, Result, Row, Spread, Subject, Wire, counted};

/// The number of callers that a row is compared at if ours has no row with its own.
const USUAL_CALLERS: usize = 64;

const LEGEND: &str = "CPU: of service and PostgreSQL for a call, medians, and the range of the total. For pgbench \
    the service is pgbench;\nfor Open the numbering of the event is included. ÷ ours: our row over gRPC of the same \
    round, medians. RSS: peak, MiB.\nown: share of the machine that service, PostgreSQL and client had. rounds: \
    clean ones, of all. pgbench reports its\nmean latency only.";

/// Prints what was measured of each row.
pub fn print(results: &[Result]) {
    println!(
        "\n{:<34} {:>19} {:>15} {:>13} {:>8} {:>8} {:>7} {:>7} {:>7} {:>6} {:>5} {:>6} {:>6}",
        "row",
        "CPU µs: svc+pg=sum",
        "min–max",
        "CPU ÷ ours",
        "calls/s",
        "÷ ours",
        "p50 ms",
        "p99",
        "p99.9",
        "RSS",
        "own",
        "rounds",
        "failed",
    );
    for result in results {
        print_row(results, result);
    }
    println!("{LEGEND}");
}

fn print_row(results: &[Result], result: &Result) {
    let cells = Cells::of(result);
    let ours = reference(result.row);
    println!(
        "{:<34} {:>19} {:>15} {:>13} {:>8} {:>8} {:>7} {:>7} {:>7} {:>6} {:>5} {:>6} {:>6}",
        result.row.to_string(),
        cells.costs(),
        cells.range(),
        number(ratio(results, result, ours, Measured::total_cpu), 2),
        number(cells.median(|round| Some(round.per_second)), 0),
        number(ratio(results, result, ours, |round| round.per_second), 2),
        number(cells.median(|round| Some(round.p50_ms)), 2),
        number(cells.median(|round| round.p99_ms), 2),
        number(cells.median(|round| round.p999_ms), 2),
        number(cells.median(|round| round.rss_mib), 1),
        number(cells.median(|round| Some(round.used.own_share())), 2),
        format!("{}/{}", cells.clean, result.rounds.len()),
        result.rounds.iter().map(|round| round.failed).sum::<u64>(),
    );
    let failure = result.rounds.iter().find_map(|round| round.first_failure.as_ref());
    if let Some(what) = failure {
        println!("    INVALID: {what}");
    }
}

/// The rounds of a row that count.
struct Cells<'a> {
    rounds: Vec<&'a Measured>,
    clean: usize,
}

impl<'a> Cells<'a> {
    fn of(result: &'a Result) -> Self {
        let clean = result.rounds.iter().filter(|round| round.is_clean()).count();
        Self { rounds: counted(&result.rounds, Measured::is_clean), clean }
    }

    fn spread(&self, of: impl Fn(&Measured) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| of(round)))
    }

    fn median(&self, of: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
        self.spread(of).map(|spread| spread.median)
    }

    fn costs(&self) -> String {
        let median = |of: fn(&Measured) -> f64| number(self.median(|round| Some(of(round))), 1);
        let service = median(Measured::service_cpu);
        let database = median(Measured::database_cpu);
        format!("{service}+{database}={}", median(Measured::total_cpu))
    }

    fn range(&self) -> String {
        let total = self.spread(|round| Some(round.total_cpu()));
        total.map(|Spread { min, max, .. }| format!("{min:.1}–{max:.1}")).unwrap_or_default()
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// The row of ours that a row is compared with.
fn reference(row: Row) -> Row {
    let is_like_ours = row.wire != Wire::Postgres && [1, 64, 256].contains(&row.callers);
    let callers = if is_like_ours { row.callers } else { USUAL_CALLERS };
    Row::grpc(row.action, Subject::Ours, callers)
}

/// Returns the median of the ratios of the rounds that count in both rows.
fn ratio(
    results: &[Result],
    result: &Result,
    ours: Row,
    of: impl Fn(&Measured) -> f64,
) -> Option<f64> {
    let ours = results.iter().find(|result| result.row == ours)?;
    let pairs = result.rounds.iter().zip(&ours.rounds);
    let pairs: Vec<_> = pairs.filter(|(row, ours)| row.failed + ours.failed == 0).collect();
    let pairs = counted(&pairs, |(row, ours)| row.is_clean() && ours.is_clean());
    let ratios = pairs.into_iter().map(|(row, ours)| of(row) / of(ours));
    Spread::of(ratios).map(|spread| spread.median)
}

/// The row of pgbench with the lowest median of CPU time.
pub fn cheapest_pgbench(results: &[Result], action: Action) -> Option<Row> {
    let is_candidate = |row: Row| row.subject == Subject::Pgbench && row.action == action;
    let rows = results.iter().filter(|result| is_candidate(result.row));
    let costs = rows.filter_map(|result| {
        Some((result.row, Cells::of(result).median(|round| Some(round.total_cpu()))?))
    });
    costs.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(row, _)| row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Used;

    fn result(row: Row, seconds: &[f64]) -> Result {
        let round = |service: &f64| Measured {
            used: Used { service: *service, elapsed: 1.0, cores: 2.0, ..Used::default() },
            calls: 1e6,
            ..Measured::default()
        };
        Result { row, rounds: seconds.iter().map(round).collect() }
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let ours = Row::grpc(Action::Describe, Subject::Ours, 64);
        let pgbench = Row::pgbench(Action::Describe, 8);
        let results = [result(ours, &[1.0, 2.0, 4.0]), result(pgbench, &[3.0, 6.0, 12.0])];
        assert_eq!(reference(pgbench), ours);
        assert_eq!(ratio(&results, &results[1], ours, Measured::total_cpu), Some(3.0));
        assert_eq!(cheapest_pgbench(&results, Action::Describe), Some(pgbench));
        assert_eq!(Cells::of(&results[0]).costs(), "2.0+0.0=2.0");
    }
}
