//! The settings of traces: the standard variables of OpenTelemetry that the service reads. They have
//! no flags. The doc comments are in `docs/settings.md` only.

use std::convert::Infallible;
use std::fmt;

use clap::Args;
use zeroize::Zeroizing;

/// The standard variables of OpenTelemetry. An empty one counts as absent.
#[derive(Args, Clone, Debug)]
pub struct TelemetrySettings {
    /// Whether there are no traces, whatever the other variables say.
    #[arg(long, hide = true, env = "OTEL_SDK_DISABLED")]
    pub otel_sdk_disabled: Option<String>,
    /// How traces are exported.
    #[arg(long, hide = true, env = "OTEL_TRACES_EXPORTER")]
    pub otel_traces_exporter: Option<String>,
    /// Address of the collector.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// The protocol.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_PROTOCOL")]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")]
    pub otel_exporter_otlp_traces_protocol: Option<String>,
    /// Headers that are sent to the collector.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true, value_parser = concealed)]
    pub otel_exporter_otlp_headers: Option<Concealed>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS", hide_env_values = true, value_parser = concealed)]
    pub otel_exporter_otlp_traces_headers: Option<Concealed>,
    /// Time limit of one message to the collector, in milliseconds.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TIMEOUT")]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")]
    pub otel_exporter_otlp_traces_timeout: Option<String>,
    /// How messages to the collector are compressed.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_COMPRESSION")]
    pub otel_exporter_otlp_compression: Option<String>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION")]
    pub otel_exporter_otlp_traces_compression: Option<String>,
    /// File with the authorities that verify the collector.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_CERTIFICATE")]
    pub otel_exporter_otlp_certificate: Option<String>,
    /// The same for traces only.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE")]
    pub otel_exporter_otlp_traces_certificate: Option<String>,
    /// Name of the service in traces.
    #[arg(long, hide = true, env = "OTEL_SERVICE_NAME")]
    pub otel_service_name: Option<String>,
    /// Attributes of the process in traces.
    #[arg(long, hide = true, env = "OTEL_RESOURCE_ATTRIBUTES")]
    pub otel_resource_attributes: Option<String>,
    /// Which requests are sampled.
    #[arg(long, hide = true, env = "OTEL_TRACES_SAMPLER")]
    pub otel_traces_sampler: Option<String>,
    /// The ratio of a sampler that has one.
    #[arg(long, hide = true, env = "OTEL_TRACES_SAMPLER_ARG")]
    pub otel_traces_sampler_arg: Option<String>,
}

/// A text with secrets.
#[derive(Clone)]
pub struct Concealed(Zeroizing<String>);

impl Concealed {
    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Concealed(…)")
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of the command line returns a result")]
fn concealed(text: &str) -> Result<Concealed, Infallible> {
    Ok(Concealed(Zeroizing::new(text.to_owned())))
}
