//! The two pictures: bars of what each row reached, and lines of how it changes with the number of
//! accounts.

use std::fs;
use std::io;
use std::path::Path;

use super::svg::{Anchor, Svg};
use crate::meters::machine::Machine;
use crate::rounds::{Measured, Result, Spread, counted};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 250.0;
const BAR: f64 = 17.0;
const OURS: &str = "#1f77b4";
const THEIRS: &str = "#b8bec6";

/// A group of bars with a title.
pub struct Group<'a> {
    /// What the bars are of.
    pub title: &'a str,
    /// Name, rows, whether it is ours.
    pub bars: Vec<(String, &'a Result, bool)>,
}

/// Calls for each second of the rounds that count.
pub fn rate(result: &Result) -> Option<Spread> {
    let rounds = counted(&result.rounds, Measured::is_clean);
    Spread::of(rounds.iter().map(|round| round.per_second))
}

/// Writes a picture of bars with whiskers from the least to the greatest round.
pub fn bars(path: &Path, machine: &Machine, groups: &[Group<'_>]) -> io::Result<()> {
    let count = |group: &Group<'_>| group.bars.len();
    #[expect(clippy::cast_precision_loss, reason = "some dozens")]
    let height =
        groups.iter().map(|group| 46.0 + BAR * 1.35 * count(group) as f64).sum::<f64>() + 40.0;
    let mut svg = Svg::new(WIDTH, height);
    let mut y = 24.0;
    for group in groups {
        svg.text((12.0, y), 15, Anchor::Start, group.title);
        y += 12.0;
        y = group_bars(&mut svg, group, y) + 34.0;
    }
    svg.text((12.0, height - 14.0), 10, Anchor::Start, &machine.caption());
    write(path, svg)
}

fn group_bars(svg: &mut Svg, group: &Group<'_>, mut y: f64) -> f64 {
    let spreads: Vec<_> = group.bars.iter().map(|(_, result, _)| rate(result)).collect();
    let most = spreads.iter().flatten().map(|spread| spread.max).fold(1.0, f64::max);
    let across = |value: f64| LEFT + value / most * (WIDTH - LEFT - 90.0);
    for ((name, _, is_ours), spread) in group.bars.iter().zip(&spreads) {
        let Some(spread) = spread else { continue };
        let middle = y + BAR / 2.0;
        svg.text((LEFT - 8.0, middle + 4.0), 12, Anchor::End, name);
        let colour = if *is_ours { OURS } else { THEIRS };
        svg.rectangle((LEFT, y), (across(spread.median) - LEFT, BAR), colour);
        svg.whisker((across(spread.min), middle), (across(spread.max), middle));
        let text = format!("{} /s", thousands(spread.median));
        svg.text((across(spread.max) + 8.0, middle + 4.0), 12, Anchor::Start, &text);
        y += BAR * 1.35;
    }
    y
}

fn thousands(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0}k", value / 1e3) } else { format!("{:.1}k", value / 1e3) }
}

/// A line of a chart: its colour, its dashes, and a spread for each number of accounts.
pub struct Series {
    /// Whether it is ours.
    pub is_ours: bool,
    /// Whether it is of a cold start.
    pub is_cold: bool,
    /// Accounts and value.
    pub points: Vec<(u64, Spread)>,
}

/// A chart.
pub struct Chart<'a> {
    /// What it shows, with the unit.
    pub title: &'a str,
    /// Its lines.
    pub series: Vec<Series>,
}

const CHART: (f64, f64) = (300.0, 190.0);
const LEGEND: &str = "blue: cdn-activation; grey: textbook (tonic + sqlx); dashed: cold, after a restart with \
                      empty caches; whiskers: least and greatest round";

/// Writes a picture of charts, two beside each other, over the number of accounts.
pub fn charts(path: &Path, machine: &Machine, charts: &[Chart<'_>]) -> io::Result<()> {
    let rows = charts.len().div_ceil(2);
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let height = rows as f64 * (CHART.1 + 90.0) + 50.0;
    let mut svg = Svg::new(WIDTH, height);
    for (index, chart) in charts.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let (column, row) = ((index % 2) as f64, (index / 2) as f64);
        draw(&mut svg, chart, (60.0 + column * 430.0, 40.0 + row * (CHART.1 + 90.0)));
    }
    svg.text((12.0, height - 34.0), 11, Anchor::Start, LEGEND);
    svg.text((12.0, height - 14.0), 10, Anchor::Start, &machine.caption());
    write(path, svg)
}

fn draw(svg: &mut Svg, chart: &Chart<'_>, (left, top): (f64, f64)) {
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let most = points().map(|(_, spread)| spread.max).fold(1e-9, f64::max);
    let mut sizes: Vec<u64> = points().map(|(accounts, _)| *accounts).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let last = sizes.len().saturating_sub(1).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let x = |accounts: u64| {
        let index = sizes.iter().position(|size| *size == accounts).unwrap_or(0);
        left + 20.0 + index as f64 / last as f64 * (CHART.0 - 40.0)
    };
    let y = |value: f64| top + CHART.1 - value / most * CHART.1;
    svg.text((left, top - 12.0), 13, Anchor::Start, chart.title);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let value = most * share;
        svg.line((left, y(value)), (left + CHART.0, y(value)), "#dddddd", 1.0);
        svg.text((left - 6.0, y(value) + 4.0), 10, Anchor::End, &axis(value));
    }
    for size in &sizes {
        svg.text((x(*size), top + CHART.1 + 14.0), 10, Anchor::Middle, &format!("{size}"));
    }
    for series in &chart.series {
        let colour = if series.is_ours { OURS } else { "#7f7f7f" };
        let dashes = if series.is_cold { "5 4" } else { "none" };
        let points: Vec<_> =
            series.points.iter().map(|(accounts, s)| (x(*accounts), y(s.median))).collect();
        svg.path(&points, colour, dashes);
        for (accounts, spread) in &series.points {
            svg.whisker((x(*accounts), y(spread.min)), (x(*accounts), y(spread.max)));
            svg.dot((x(*accounts), y(spread.median)), colour);
        }
    }
    svg.text((left + CHART.0 / 2.0, top + CHART.1 + 28.0), 10, Anchor::Middle, "accounts");
}

fn axis(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{:.0}k", v / 1e3),
        v if v >= 10.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

fn write(path: &Path, svg: Svg) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, svg.finish())?;
    println!("written: {}", path.display());
    Ok(())
}
