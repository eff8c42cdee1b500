//! What the system says about the process, under the names of the Prometheus client libraries, and
//! which program it is. It is read from `/proc` at each scrape.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// Registers the metrics.
pub(super) fn register(registry: &mut Registry) {
    // The encoder appends _info to this name.
    let program = Info::new(program(option_env!("CDN_ACTIVATION_REVISION")));
    registry.register("cdn_activation_build", "The program", program);
    registry.register_collector(Box::new(ProcessNumbers));
}

/// Returns the labels that say which program this is. The build of the image knows the commit of its
/// sources; another build does not, and then there is no such label.
fn program(revision: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let revision = revision.filter(|revision| !revision.is_empty());
    let version = ("version", env!("CARGO_PKG_VERSION"));
    std::iter::once(version).chain(revision.map(|revision| ("revision", revision))).collect()
}

/// Reads the numbers of the process.
#[derive(Debug)]
struct ProcessNumbers;

/// The fields of `/proc/self/stat` that are used, in the units of the metrics.
struct ProcessStat {
    cpu_seconds: f64,
    threads: u64,
    start_time_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl ProcessStat {
    fn read() -> Option<Self> {
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?, boot.parse().ok()?)
    }

    /// Reads the fields after the name of the program, which can contain any character. `boot` is
    /// when the system started, in seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
    fn parse(stat: &str, boot: u64) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<u64> =
            fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        // `man 5 proc` counts from 1 and has two fields before these.
        let field = |number: usize| fields.get(number - 3).copied();
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            threads: field(20)?,
            start_time_seconds: boot as f64 + seconds(field(22)?),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as u64,
        })
    }
}

impl Collector for ProcessNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let mut write = |name: &str, help: &str, metric: &dyn EncodeDynamic| {
            metric.encode_as(&mut encoder, name, help)
        };
        // What cannot be read is left out.
        if let Some(stat) = ProcessStat::read() {
            let cpu = ConstCounter::new(stat.cpu_seconds);
            write("process_cpu_seconds", "CPU time of the process", &cpu)?;
            let start = ConstGauge::new(stat.start_time_seconds);
            write("process_start_time_seconds", "When the process started", &start)?;
            let resident = ConstGauge::new(stat.resident_bytes);
            write("process_resident_memory_bytes", "Memory of the process", &resident)?;
            let of_addresses = ConstGauge::new(stat.virtual_bytes);
            write("process_virtual_memory_bytes", "Address space of the process", &of_addresses)?;
            write("process_threads", "Threads of the process", &ConstGauge::new(stat.threads))?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let open = ConstGauge::new(open.count().saturating_sub(1)); // without the directory itself
            write("process_open_fds", "Open file descriptors", &open)?;
        }
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        write("process_max_fds", "Most open file descriptors", &ConstGauge::new(most))
    }
}

/// A metric of any type that can be written.
trait EncodeDynamic {
    fn encode_as(&self, to: &mut DescriptorEncoder<'_>, name: &str, help: &str)
    -> std::fmt::Result;
}

impl<M: EncodeMetric> EncodeDynamic for M {
    fn encode_as(
        &self,
        to: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
    ) -> std::fmt::Result {
        self.encode(to.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_after_any_name_of_a_program() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 8 9 20 0 5 0 1000 8192 3 18446744073709551615";
        let stat = ProcessStat::parse(stat, 1_700_000_000).unwrap();
        let ticks = f64::from(u32::try_from(clock_ticks_per_second()).unwrap());
        assert!((stat.cpu_seconds - 400.0 / ticks).abs() < 1e-9);
        assert!((stat.start_time_seconds - 1_700_000_000.0 - 1000.0 / ticks).abs() < 1e-6);
        assert_eq!((stat.threads, stat.virtual_bytes), (5, 8192));
        assert_eq!(stat.resident_bytes, 3 * page_size() as u64);
    }

    #[test]
    fn the_program_has_its_version_and_the_commit_if_it_is_known() {
        let version = ("version", env!("CARGO_PKG_VERSION"));
        assert_eq!(program(Some("226657f")), [version, ("revision", "226657f")]);
        assert_eq!(program(Some("")), [version]);
        assert_eq!(program(None), [version]);
    }

    #[test]
    fn the_process_of_the_test_has_all_numbers() {
        let stat = ProcessStat::read().unwrap();
        assert!(stat.resident_bytes > 1_000_000 && stat.virtual_bytes > stat.resident_bytes);
        assert!(stat.threads >= 1 && stat.start_time_seconds > 1.6e9);
    }
}
