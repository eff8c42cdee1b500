//! Reads the standard variables of OpenTelemetry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use percent_encoding::percent_decode_str;

use crate::config::TelemetrySettings;
use crate::traces::{CollectorSettings, TraceSettings, Traces, sampler};

/// The time limit of one message, as the standard has it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time limit: the queue is full long before.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Starts the traces, if a collector is set.
pub(super) fn traces(settings: &TelemetrySettings) -> anyhow::Result<Traces> {
    let Some(settings) = read(settings)? else { return Ok(Traces::default()) };
    tracing::info!(collector = %settings.collector.address(), "records traces");
    Traces::start(settings).map_err(|sentence| anyhow!("the export of traces: {sentence}"))
}

fn read(settings: &TelemetrySettings) -> anyhow::Result<Option<TraceSettings>> {
    let is_disabled = given(settings.otel_sdk_disabled.as_ref());
    if is_disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let endpoint = either(
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &settings.otel_exporter_otlp_traces_endpoint),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &settings.otel_exporter_otlp_endpoint),
    );
    let Some((variable, endpoint)) = endpoint else { return Ok(None) };
    let protocol = either(
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &settings.otel_exporter_otlp_traces_protocol),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", &settings.otel_exporter_otlp_protocol),
    );
    if let Some((variable, protocol)) = protocol.filter(|(_, protocol)| *protocol != "grpc") {
        bail!("{variable} is {protocol:?}; the service sends traces with grpc only");
    }
    let authorities = settings.otel_exporter_otlp_traces_certificate.as_ref();
    let authorities = authorities.or(settings.otel_exporter_otlp_certificate.as_ref());
    let authorities = authorities.filter(|path: &&PathBuf| !path.as_os_str().is_empty());
    let authorities = authorities.map(|path| read_file(path)).transpose()?;
    let collector = CollectorSettings::new(
        endpoint,
        authorities.as_deref(),
        &headers(settings)?,
        timeout(settings)?,
    );
    let collector = collector.map_err(|sentence| anyhow!("{variable}: {sentence}"))?;
    let sampler_name = given(settings.otel_traces_sampler.as_ref());
    let sampler = sampler(sampler_name, given(settings.otel_traces_sampler_arg.as_ref()));
    Ok(Some(TraceSettings {
        collector: collector.compressed(compresses(settings)?),
        sampler: sampler.map_err(|sentence| anyhow!("OTEL_TRACES_SAMPLER: {sentence}"))?,
        resource: resource(settings)?,
    }))
}

/// Returns a value that is not empty.
fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// Returns the value of the first variable that is set, and its name.
fn either<'s>(
    first: (&'static str, &'s Option<String>),
    second: (&'static str, &'s Option<String>),
) -> Option<(&'static str, &'s str)> {
    [first, second].into_iter().find_map(|(name, value)| Some((name, given(value.as_ref())?)))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn headers(settings: &TelemetrySettings) -> anyhow::Result<Vec<(String, String)>> {
    let headers = settings.otel_exporter_otlp_traces_headers.as_ref();
    let headers = headers.or(settings.otel_exporter_otlp_headers.as_ref());
    let headers = pairs(headers.map_or("", |headers| headers.text()));
    headers.context("OTEL_EXPORTER_OTLP_HEADERS is not a list of NAME=VALUE, separated by commas")
}

fn resource(settings: &TelemetrySettings) -> anyhow::Result<Vec<(String, String)>> {
    let attributes = pairs(given(settings.otel_resource_attributes.as_ref()).unwrap_or_default());
    let mut attributes = attributes
        .context("OTEL_RESOURCE_ATTRIBUTES is not a list of NAME=VALUE, separated by commas")?;
    if let Some(name) = given(settings.otel_service_name.as_ref()) {
        attributes.push(("service.name".to_owned(), name.to_owned()));
    }
    Ok(attributes)
}

fn timeout(settings: &TelemetrySettings) -> anyhow::Result<Duration> {
    let timeout = either(
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", &settings.otel_exporter_otlp_traces_timeout),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", &settings.otel_exporter_otlp_timeout),
    );
    let Some((variable, text)) = timeout else { return Ok(DEFAULT_TIMEOUT) };
    let timeout = text.parse().ok().map(Duration::from_millis);
    let timeout = timeout.filter(|timeout| !timeout.is_zero() && *timeout <= LONGEST_TIMEOUT);
    timeout.ok_or_else(|| anyhow!("{variable} is {text:?}; expected 1 to 60000 milliseconds"))
}

fn compresses(settings: &TelemetrySettings) -> anyhow::Result<bool> {
    let compression = either(
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", &settings.otel_exporter_otlp_traces_compression),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", &settings.otel_exporter_otlp_compression),
    );
    match compression {
        None | Some((_, "none")) => Ok(false),
        Some((_, "gzip")) => Ok(true),
        Some((variable, other)) => bail!("{variable} is {other:?}; expected gzip or none"),
    }
}

/// Reads `NAME=VALUE,NAME=VALUE`. The values are encoded with percent signs.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), percent_decode_str(value.trim()).decode_utf8().ok()?);
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    pairs.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn settings(flags: &[&str]) -> TelemetrySettings {
        let command = TelemetrySettings::augment_args(Command::new("traces"));
        let matches = command.try_get_matches_from([&["traces"], flags].concat()).unwrap();
        TelemetrySettings::from_arg_matches(&matches).unwrap()
    }

    const COLLECTOR: &str = "--otel-exporter-otlp-endpoint=http://collector:4317";

    #[test]
    fn there_are_no_traces_without_a_collector_or_if_they_are_disabled() {
        for flags in [
            &[] as &[&str],
            &["--otel-exporter-otlp-endpoint="],
            &["--otel-traces-sampler=always_on", "--otel-service-name=a"],
            &[COLLECTOR, "--otel-sdk-disabled=TRUE"],
        ] {
            assert!(read(&settings(flags)).unwrap().is_none(), "{flags:?}");
        }
        assert!(read(&settings(&[COLLECTOR, "--otel-sdk-disabled=false"])).unwrap().is_some());
    }

    #[test]
    fn the_standard_variables_are_read() {
        let read = read(&settings(&[
            COLLECTOR,
            "--otel-exporter-otlp-traces-endpoint=http://traces:4317",
            "--otel-exporter-otlp-protocol=grpc",
            "--otel-exporter-otlp-headers=authorization=Bearer%20secret, x-a=b",
            "--otel-exporter-otlp-timeout=1500",
            "--otel-exporter-otlp-compression=gzip",
            "--otel-resource-attributes=service.name=other,deployment.environment.name=a%2Cb",
            "--otel-service-name=activation",
            "--otel-traces-sampler=parentbased_traceidratio",
            "--otel-traces-sampler-arg=0.01",
        ]));
        let read = read.unwrap().unwrap();
        assert_eq!(read.collector.address(), "http://traces:4317/");
        let shown = format!("{:?}", read.collector);
        assert!(shown.contains("1.5s") && shown.contains("compresses: true"), "{shown}");
        assert!(shown.contains("authorization") && !shown.contains("secret"), "{shown}");
        assert_eq!(format!("{:?}", read.sampler), "ParentBased(TraceIdRatioBased(0.01))");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("service.name", "other"),
            pair("deployment.environment.name", "a,b"),
            pair("service.name", "activation"),
        ];
        assert_eq!(read.resource, expected);
    }

    #[test]
    fn a_wrong_variable_is_named_and_a_secret_is_not_shown() {
        for (flag, expected) in [
            ("--otel-exporter-otlp-endpoint=collector", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("--otel-exporter-otlp-traces-protocol=http/protobuf", "_TRACES_PROTOCOL"),
            ("--otel-exporter-otlp-headers=the-secret", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("--otel-exporter-otlp-headers=a b=the-secret", "name of a header"),
            ("--otel-exporter-otlp-timeout=10s", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--otel-exporter-otlp-timeout=0", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--otel-exporter-otlp-compression=zip", "OTEL_EXPORTER_OTLP_COMPRESSION"),
            ("--otel-exporter-otlp-certificate=/does/not/exist", "/does/not/exist"),
            ("--otel-resource-attributes=a", "OTEL_RESOURCE_ATTRIBUTES"),
            ("--otel-traces-sampler=some", "OTEL_TRACES_SAMPLER"),
        ] {
            let flags =
                if flag.contains("otlp-endpoint") { vec![flag] } else { vec![COLLECTOR, flag] };
            let error = format!("{:#}", read(&settings(&flags)).unwrap_err());
            assert!(error.contains(expected) && !error.contains("the-secret"), "{flag}: {error}");
        }
    }
}
