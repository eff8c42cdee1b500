//! The tables on the terminal.

use super::ratios::Line;
use crate::meters::Used;
use crate::rounds::{Measured, Result, Spread, counted};

/// Prints what was measured of each row.
pub fn print_rows(results: &[Result]) {
    println!(
        "\n{:<34} {:>23} {:>8} {:>8} {:>8} {:>22} {:>6} {:>5} {:>6} {:>6}",
        "row",
        "calls/s min/median/max",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "CPU s/100k svc+pg=sum",
        "RSS",
        "own",
        "rounds",
        "failed",
    );
    results.iter().for_each(print_row);
    println!(
        "RSS: peak, MiB. own: share of the box that service, PostgreSQL and client had. rounds: clean of \
         all. CPU of\nOpen rows is that of the whole row, the numbering of its events included. pgbench \
         tells its mean latency only."
    );
}

fn print_row(result: &Result) {
    let rounds = counted(&result.rounds, Measured::is_clean);
    let median = |of: &dyn Fn(&Measured) -> Option<f64>| {
        Spread::of(rounds.iter().filter_map(|round| of(round))).map(|spread| spread.median)
    };
    let number = |value: Option<f64>, digits| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let rate = Spread::of(rounds.iter().map(|round| round.per_second));
    let cpu = |of: fn(&Measured) -> f64| number(median(&|round| Some(of(round))), 2);
    let cpu = [cpu(Measured::service_cpu), cpu(Measured::database_cpu), cpu(Measured::total_cpu)];
    let failed: u64 = result.rounds.iter().map(|round| round.failed).sum();
    println!(
        "{:<34} {:>23} {:>8} {:>8} {:>8} {:>22} {:>6} {:>5} {:>6} {:>6}",
        result.row.to_string(),
        rate.map(|rate| thousands(&rate)).unwrap_or_default(),
        number(median(&|round| Some(round.p50_ms)), 2),
        number(median(&|round| round.p99_ms), 2),
        number(median(&|round| round.p999_ms), 2),
        format!("{}+{}={}", cpu[0], cpu[1], cpu[2]),
        number(median(&|round| round.rss_mib), 1),
        number(median(&|round| Some(Used::own_share(&round.used))), 2),
        format!(
            "{}/{}",
            result.rounds.iter().filter(|r| r.is_clean()).count(),
            result.rounds.len()
        ),
        if failed == 0 { "0".to_owned() } else { format!("{failed} !") },
    );
    let failure = result.rounds.iter().find_map(|round| round.first_failure.as_ref());
    if let Some(what) = failure {
        println!("    INVALID: {what}");
    }
}

fn thousands(rate: &Spread) -> String {
    let one = |rate: f64| format!("{:.1}", rate / 1e3);
    format!("{}/{}/{}k", one(rate.min), one(rate.median), one(rate.max))
}

/// Prints how far the ratios got.
pub fn print_ratios(lines: &[Line]) {
    println!(
        "\n{:<66} {:>6} {:>8}   {:<24} mark",
        "ratio", "goal", "moonshot", "min / median / max",
    );
    for line in lines {
        let sign = if line.less_is_better { "≤" } else { "≥" };
        let mark =
            |mark: Option<f64>| mark.map_or_else(|| "–".to_owned(), |m| format!("{sign}{m}"));
        let value = line.value.map_or_else(
            || "–".to_owned(),
            |value| format!("{:.2} / {:.2} / {:.2}", value.min, value.median, value.max),
        );
        println!(
            "{:<66} {:>6} {:>8}   {value:<24} {}",
            line.what,
            mark(line.goal),
            mark(line.moonshot),
            line.mark(),
        );
    }
}
