//! The plot: bars of the CPU time that a call takes with each program.

use std::io;
use std::path::Path;

use super::svg::{Anchor, Svg};
use super::table::cheapest_pgbench;
use super::write;
use crate::meters::machine::Machine;
use crate::rounds::{Action, Row, Subject};
use crate::rounds::{Measured, Result, Spread, counted};
use crate::subjects::Peer;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 250.0;
const BAR: f64 = 17.0;
const PITCH: f64 = BAR * 1.35;
const OURS: &str = "#1f77b4";
const THEIRS: &str = "#b8bec6";

const TITLES: [(Action, &str); 2] = [
    (Action::Describe, "Describe: CPU time of a call, service and PostgreSQL together, µs"),
    (Action::Open, "Open: CPU time of a call, service and PostgreSQL together, µs"),
];

/// A bar: its name, the value, whether it is ours.
type Bar = (String, Spread, bool);

/// Writes the plot.
pub fn write_plot(path: &Path, machine: &Machine, results: &[Result]) -> io::Result<()> {
    let groups = TITLES.map(|(action, title)| (title, bars(results, action)));
    #[expect(clippy::cast_precision_loss, reason = "some dozens")]
    let bar_count = groups.iter().map(|(_, bars)| bars.len()).sum::<usize>() as f64;
    let height = PITCH * bar_count + 46.0 * 2.0 + 40.0;
    let mut svg = Svg::new(WIDTH, height);
    let mut y = 24.0;
    for (title, bars) in &groups {
        svg.text((12.0, y), 15, Anchor::Start, title);
        y = draw(&mut svg, bars, y + 12.0) + 34.0;
    }
    svg.text((12.0, height - 14.0), 10, Anchor::Start, &machine.caption());
    write(path, svg.finish())
}

/// Draws bars with whiskers from the lowest to the highest round; returns where they end.
fn draw(svg: &mut Svg, bars: &[Bar], mut y: f64) -> f64 {
    let most = bars.iter().map(|(_, spread, _)| spread.max).fold(1.0, f64::max);
    let across = |value: f64| LEFT + value / most * (WIDTH - LEFT - 90.0);
    for (name, spread, is_ours) in bars {
        let middle = y + BAR / 2.0;
        svg.text((LEFT - 8.0, middle + 4.0), 12, Anchor::End, name);
        let colour = if *is_ours { OURS } else { THEIRS };
        svg.rectangle((LEFT, y), (across(spread.median) - LEFT, BAR), colour);
        svg.whisker(across(spread.min), across(spread.max), middle);
        let text = format!("{:.1}", spread.median);
        svg.text((across(spread.max) + 8.0, middle + 4.0), 12, Anchor::Start, &text);
        y += PITCH;
    }
    y
}

/// Returns the bars of the rows that were measured.
fn bars(results: &[Result], action: Action) -> Vec<Bar> {
    let cost = |row: Row| {
        let result = results.iter().find(|result| result.row == row)?;
        let rounds = counted(&result.rounds, Measured::is_clean);
        Spread::of(rounds.iter().map(|round| round.total_cpu()))
    };
    let rows = rows(results, action).into_iter();
    rows.filter_map(|(name, row)| Some((name, cost(row)?, row.subject == Subject::Ours))).collect()
}

fn rows(results: &[Result], action: Action) -> Vec<(String, Row)> {
    let grpc = |subject, callers| Row::grpc(action, subject, callers);
    let mut rows = vec![
        ("cdn-activation, gRPC, 64 callers".to_owned(), grpc(Subject::Ours, 64)),
        ("cdn-activation, gRPC, 256 callers".to_owned(), grpc(Subject::Ours, 256)),
        ("cdn-activation, signed REST, 64".to_owned(), Row::rest(action, 64)),
        ("tonic, no database at all, 64".to_owned(), grpc(Subject::Echo, 64)),
    ];
    if let Some(row) = cheapest_pgbench(results, action) {
        rows.push((format!("pgbench, prepared, {} clients", row.callers), row));
    }
    rows.push(("tonic + sqlx, textbook, 64".to_owned(), grpc(Subject::Textbook, 64)));
    let names = ["Go, pgx, 64", "Node.js, pg, 64", "Python, asyncpg, 64"];
    for (peer, name) in Peer::ALL.into_iter().zip(names) {
        rows.push((name.to_owned(), grpc(Subject::Peer(peer), 64)));
    }
    rows
}
