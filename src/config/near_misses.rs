//! Environment variables that are not settings, but have almost the name of one: a misspelt setting
//! would otherwise be ignored silently.

use std::collections::BTreeSet;

use clap::Command;

/// Variables that begin with one of these belong to other programs.
const OF_OTHERS: [&str; 5] = ["PG", "KUBERNETES_", "SSL_", "RUST_", "CARGO_"];
/// A prefix that an operator may add to a setting. It is also that of the variables which
/// Kubernetes makes for a Service named `cdn-activation`.
const OWN_PREFIX: &str = "CDN_ACTIVATION_";

/// An environment variable with almost the name of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The variable.
    pub variable: String,
    /// The variable of the setting that was probably meant.
    pub meant: String,
}

/// Returns which of these variables have almost the name of a setting of `program`.
pub(super) fn near_misses(
    program: &Command,
    variables: impl Iterator<Item = String>,
) -> Vec<NearMiss> {
    let mut settings = BTreeSet::new();
    collect(program, &mut settings);
    let strange = variables.filter(|name| !settings.contains(name) && !is_of_others(name));
    strange
        .filter_map(|variable| {
            let meant = likely(&variable, &settings)?.clone();
            Some(NearMiss { variable, meant })
        })
        .collect()
}

/// Collects the variables of a command and of those below it.
fn collect(command: &Command, settings: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);
    settings.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for below in command.get_subcommands() {
        collect(below, settings);
    }
}

fn is_of_others(name: &str) -> bool {
    let is_of_a_kubernetes_service = || {
        let port = name.rsplit_once("_PORT").map(|(_, after)| after);
        name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || port.is_some_and(|after| after.is_empty() || after.starts_with('_'))
    };
    OF_OTHERS.iter().any(|prefix| name.starts_with(prefix)) || is_of_a_kubernetes_service()
}

/// Returns the setting whose name is nearest, if one is near.
fn likely<'a>(variable: &str, settings: &'a BTreeSet<String>) -> Option<&'a String> {
    let upper = variable.to_uppercase();
    let bare = upper.strip_prefix(OWN_PREFIX).unwrap_or(&upper);
    let distances = settings.iter().map(|setting| (distance(bare, setting), setting));
    let near = distances.filter(|(distance, setting)| *distance <= allowed(setting));
    near.min().map(|(_, setting)| setting)
}

/// Returns how many letters may differ: two, and fewer in a short name, because other programs have
/// short names, too.
fn allowed(setting: &str) -> usize {
    (setting.len() / 4).min(2)
}

/// Returns how many letters must be added, removed or replaced to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other_letter) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other_letter);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Cli;

    fn meant(variable: &str) -> Option<String> {
        let variables = [variable.to_owned()].into_iter();
        near_misses(&Cli::command(), variables).pop().map(|near| near.meant)
    }

    #[test]
    fn a_misspelt_variable_has_a_likely_setting() {
        for (variable, setting) in [
            ("DATABASE_URI", "DATABASE_URL"),
            ("GRPC_ADRR", "GRPC_ADDR"),
            ("DRAIN_DELAYS", "DRAIN_DELAY"),
            ("WORKER", "WORKERS"),
            ("sealing_key_file", "SEALING_KEY_FILE"),
            ("CDN_ACTIVATION_DRAIN_DELAY", "DRAIN_DELAY"),
            ("CDN_ACTIVATION_LOG", "LOG"),
            ("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"),
            ("OTEL_TRACE_EXPORTER", "OTEL_TRACES_EXPORTER"),
            ("TLS_CERTIFICATE_FILE", ""),
        ] {
            let expected = Some(setting.to_owned()).filter(|setting| !setting.is_empty());
            assert_eq!(meant(variable), expected, "{variable}");
        }
    }

    #[test]
    fn variables_of_others_are_not_mentioned() {
        let others = "PATH HOME HOSTNAME LANG LC_ALL TERM USER SHELL PWD TZ LOGNAME EDITOR TMPDIR \
                      LOG DATABASE_URL DB_ADMIN_URL_FILE PGHOST PGDATABASE PG_BIN SSL_CERT_FILE \
                      KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP_ADDR OTEL_SERVICE_NAME \
                      OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_LOG_LEVEL \
                      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT \
                      CDN_ACTIVATION_SERVICE_HOST CDN_ACTIVATION_SERVICE_PORT_GRPC \
                      CDN_ACTIVATION_PORT CDN_ACTIVATION_PORT_50051_TCP_ADDR OPS_SERVICE_HOST \
                      GRPC_TRACE GRPC_VERBOSITY RUST_LOG LOG_LEVEL HTTPS_PROXY no_proxy \
                      TEST_DATABASE_URL MIMALLOC_SHOW_STATS ENV PORT";
        for variable in others.split_whitespace() {
            assert_eq!(meant(variable), None, "{variable}");
        }
    }

    #[test]
    fn the_distance_of_two_words_counts_letters() {
        assert_eq!(distance("ABC", "ABC"), 0);
        assert_eq!(distance("", "ABC"), 3);
        assert_eq!(distance("ABCD", "ACBD"), 2);
        assert_eq!(distance("KITTEN", "SITTING"), 3);
    }
}
