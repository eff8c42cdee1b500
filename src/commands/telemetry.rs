//! Reads the standard variables of OpenTelemetry.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use percent_encoding::percent_decode_str;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::config::TelemetrySettings;
use crate::traces::{CollectorSettings, TraceSettings, Traces, sampler};

/// The time limit of one message, as the standard has it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time limit: the queue is full long before.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

/// What a variable with several values is.
const LIST: &str = "a list of NAME=VALUE, separated by commas";

/// Starts the traces, if a collector is set.
pub(super) fn traces(settings: &TelemetrySettings) -> anyhow::Result<Traces> {
    let Some(settings) = read(settings)? else { return Ok(Traces::default()) };
    tracing::info!(collector = %settings.collector.address(), "records traces");
    Traces::start(settings).map_err(|sentence| anyhow!("the export of traces: {sentence}"))
}

fn read(settings: &TelemetrySettings) -> anyhow::Result<Option<TraceSettings>> {
    let is_disabled = given(settings.otel_sdk_disabled.as_ref());
    let exporter = given(settings.otel_traces_exporter.as_ref()).unwrap_or("otlp");
    if is_disabled.is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || exporter.eq_ignore_ascii_case("none")
    {
        return Ok(None);
    }
    let endpoint = either(
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &settings.otel_exporter_otlp_traces_endpoint),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &settings.otel_exporter_otlp_endpoint),
    );
    let Some((variable, endpoint)) = endpoint else { return Ok(None) };
    if !exporter.eq_ignore_ascii_case("otlp") {
        bail!("OTEL_TRACES_EXPORTER is {exporter:?}; expected otlp or none");
    }
    let protocol = either(
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &settings.otel_exporter_otlp_traces_protocol),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", &settings.otel_exporter_otlp_protocol),
    );
    let other = protocol.filter(|(_, protocol)| !protocol.eq_ignore_ascii_case("grpc"));
    if let Some((variable, protocol)) = other {
        bail!("{variable} is {protocol:?}; the service sends traces with grpc only");
    }
    let authorities = authorities(settings)?;
    let collector = CollectorSettings::new(endpoint, authorities.as_deref(), timeout(settings)?);
    let collector = collector.map_err(|sentence| anyhow!("{variable}: {sentence}"))?;
    let collector = with_headers(collector, settings)?;
    let sampler_name = given(settings.otel_traces_sampler.as_ref());
    let sampler = sampler(sampler_name, given(settings.otel_traces_sampler_arg.as_ref()));
    Ok(Some(TraceSettings {
        collector: collector.compressed(compresses(settings)?),
        sampler: sampler.map_err(|sentence| anyhow!(sentence))?,
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

/// Reads the authorities that verify the collector, in PEM.
fn authorities(settings: &TelemetrySettings) -> anyhow::Result<Option<Vec<u8>>> {
    let path = either(
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &settings.otel_exporter_otlp_traces_certificate),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &settings.otel_exporter_otlp_certificate),
    );
    let Some((variable, path)) = path else { return Ok(None) };
    let pem = std::fs::read(path).with_context(|| format!("{variable}: cannot read {path}"))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let mut roots = RootCertStore::empty();
    let are_usable = certificates.is_ok_and(|certificates| {
        !certificates.is_empty()
            && certificates.into_iter().all(|certificate| roots.add(certificate).is_ok())
    });
    if !are_usable {
        bail!("{variable}: {path} does not contain certificates of authorities in PEM");
    }
    Ok(Some(pem))
}

fn with_headers(
    collector: CollectorSettings,
    settings: &TelemetrySettings,
) -> anyhow::Result<CollectorSettings> {
    let given = [
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &settings.otel_exporter_otlp_traces_headers),
        ("OTEL_EXPORTER_OTLP_HEADERS", &settings.otel_exporter_otlp_headers),
    ];
    let mut given =
        given.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?.text())));
    let Some((variable, text)) = given.find(|(_, text)| !text.is_empty()) else {
        return Ok(collector);
    };
    let headers = pairs(text);
    let headers = headers.ok_or_else(|| anyhow!("{variable} is not {LIST}"))?;
    collector.with_headers(&headers).map_err(|sentence| anyhow!("{variable}: {sentence}"))
}

fn resource(settings: &TelemetrySettings) -> anyhow::Result<Vec<(String, String)>> {
    let attributes = pairs(given(settings.otel_resource_attributes.as_ref()).unwrap_or_default());
    let decode = |(name, value): (String, String)| Some((decoded(&name)?, value));
    let attributes =
        attributes.and_then(|pairs| pairs.into_iter().map(decode).collect::<Option<Vec<_>>>());
    let mut attributes =
        attributes.ok_or_else(|| anyhow!("OTEL_RESOURCE_ATTRIBUTES is not {LIST}"))?;
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
        None => Ok(false),
        Some((_, none)) if none.eq_ignore_ascii_case("none") => Ok(false),
        Some((_, gzip)) if gzip.eq_ignore_ascii_case("gzip") => Ok(true),
        Some((variable, other)) => bail!("{variable} is {other:?}; expected gzip or none"),
    }
}

/// Reads `NAME=VALUE,NAME=VALUE`. The values are encoded with percent signs.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), decoded(value.trim())?);
        (!name.is_empty()).then(|| (name.to_owned(), value))
    };
    pairs.map(pair).collect()
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
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
            &[COLLECTOR, "--otel-traces-exporter=none"],
        ] {
            assert!(read(&settings(flags)).unwrap().is_none(), "{flags:?}");
        }
        for flag in ["--otel-sdk-disabled=false", "--otel-traces-exporter=OTLP"] {
            assert!(read(&settings(&[COLLECTOR, flag])).unwrap().is_some(), "{flag}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let command = TelemetrySettings::augment_args(Command::new("traces"));
        let names = command.get_arguments().filter_map(|argument| argument.get_long());
        let empty = names.map(|name| format!("--{name}=")).collect::<Vec<_>>();
        let set = [COLLECTOR, "--otel-exporter-otlp-headers=authorization=a"];
        let is_set = |flag: &str| set.iter().any(|set| set.starts_with(flag));
        let flags = empty.iter().map(String::as_str).filter(|flag| !is_set(flag));
        let flags = flags.chain(set).collect::<Vec<_>>();
        let read = read(&settings(&flags)).unwrap().unwrap();
        assert_eq!(read.collector.address(), "http://collector:4317/");
        assert!(format!("{:?}", read.collector).contains("authorization"));
    }

    #[test]
    fn the_standard_variables_are_read() {
        let read = read(&settings(&[
            COLLECTOR,
            "--otel-exporter-otlp-traces-endpoint=http://traces:4317",
            "--otel-exporter-otlp-protocol=gRPC",
            "--otel-exporter-otlp-headers=authorization=Bearer%20secret, x-a=b",
            "--otel-exporter-otlp-timeout=1500",
            "--otel-exporter-otlp-compression=GZIP",
            "--otel-resource-attributes=service.name=other,deployment.environment%2Ename=a%2Cb",
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
            ("--otel-exporter-otlp-headers=a b=the-secret", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("--otel-exporter-otlp-headers=a b=the-secret", "name of a header"),
            ("--otel-exporter-otlp-traces-headers=a=the-secret%0A", "OTLP_TRACES_HEADERS"),
            ("--otel-exporter-otlp-traces-headers=the-secret", "OTLP_TRACES_HEADERS"),
            ("--otel-exporter-otlp-timeout=10s", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--otel-exporter-otlp-timeout=0", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("--otel-exporter-otlp-compression=zip", "OTEL_EXPORTER_OTLP_COMPRESSION"),
            ("--otel-exporter-otlp-certificate=/does/not/exist", "/does/not/exist"),
            ("--otel-exporter-otlp-certificate=/does/not/exist", "OTLP_CERTIFICATE"),
            ("--otel-exporter-otlp-traces-certificate=/dev/null", "OTLP_TRACES_CERTIFICATE"),
            ("--otel-traces-exporter=zipkin", "OTEL_TRACES_EXPORTER"),
            ("--otel-resource-attributes=a", "OTEL_RESOURCE_ATTRIBUTES"),
            ("--otel-traces-sampler=some", "OTEL_TRACES_SAMPLER is"),
            ("--otel-traces-sampler-arg=2", "OTEL_TRACES_SAMPLER_ARG is"),
        ] {
            let flags = match flag {
                _ if flag.contains("otlp-endpoint") => vec![flag],
                _ if flag.contains("sampler-arg") => {
                    vec![COLLECTOR, "--otel-traces-sampler=traceidratio", flag]
                }
                _ => vec![COLLECTOR, flag],
            };
            let error = format!("{:#}", read(&settings(&flags)).unwrap_err());
            assert!(error.contains(expected) && !error.contains("the-secret"), "{flag}: {error}");
        }
    }
}
