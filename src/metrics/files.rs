//! The outcomes of new contents of files that are followed.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The files that have outcomes.
const FILES: [&str; 5] = ["tokens", "grants", "sealing_keys", "tls", "database_url"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: &'static str,
}

/// The outcomes of new contents, by file. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FileOutcomes {
    applied: Family<FileLabels, Counter>,
    is_refused: Family<FileLabels, Gauge>,
}

impl FileOutcomes {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let outcomes = Self::default();
        for file in FILES {
            drop(outcomes.applied.get_or_create(&FileLabels { file })); // shown from the start
            drop(outcomes.is_refused.get_or_create(&FileLabels { file }));
        }
        // The encoder appends _total to this name.
        let help = "New contents of a file that came into force, by file";
        registry.register("followed_files_applied", help, outcomes.applied.clone());
        let help = "1 if the present content of a file was refused and an earlier one is in force";
        registry.register("followed_files_refused", help, outcomes.is_refused.clone());
        outcomes
    }

    /// Counts a new content that is in force.
    pub fn applied(&self, file: &'static str) {
        self.applied.get_or_create(&FileLabels { file }).inc();
        self.is_refused.get_or_create(&FileLabels { file }).set(0);
    }

    /// Notes that the present content is refused.
    pub fn refused(&self, file: &'static str) {
        self.is_refused.get_or_create(&FileLabels { file }).set(1);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn a_file_is_refused_until_a_content_is_applied() {
        let mut registry = Registry::default();
        let outcomes = FileOutcomes::register(&mut registry);
        let says = |line: &str| {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        };
        says(r#"followed_files_applied_total{file="tls"} 0"#);
        says(r#"followed_files_refused{file="tls"} 0"#);
        outcomes.refused("tls");
        says(r#"followed_files_refused{file="tls"} 1"#);
        says(r#"followed_files_refused{file="grants"} 0"#);
        outcomes.applied("tls");
        says(r#"followed_files_refused{file="tls"} 0"#);
        says(r#"followed_files_applied_total{file="tls"} 1"#);
    }
}
