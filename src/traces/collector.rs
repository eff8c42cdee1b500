//! The collector: where it is, and the call that sends spans to it (OTLP over gRPC).

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::otlp::{
    EXPORT, ExportRequest, ExportResponse, Resource, ResourceSpans, Scope, ScopeSpans, SpanMessage,
};
use super::rpc::code_name;

/// Number of attempts for one message.
const ATTEMPTS: u32 = 3;
/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest answer that is read, in bytes. It is empty, or says how many spans were refused.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Where the collector is, and what is sent along.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    endpoint: Endpoint,
    /// Its values are marked as sensitive, so `Debug` does not show them.
    metadata: MetadataMap,
    timeout: Duration,
}

impl CollectorSettings {
    /// Returns settings for a collector at `http://host:port` or `https://host:port`. Its certificate
    /// is verified by `authorities` in PEM, or by those of the operating system. The error is a
    /// sentence.
    pub fn new(
        endpoint: &str,
        authorities: Option<&[u8]>,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{endpoint:?} is not an endpoint; expected http://host:port or https://host:port"
            )
        };
        let uri: http::Uri = endpoint.parse().map_err(|_| wrong())?;
        let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        if uri.host().is_none() || !is_bare {
            return Err(wrong());
        }
        let tls = match authorities {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let endpoint = match uri.scheme_str() {
            Some("http") => Endpoint::from(uri),
            Some("https") => {
                let with_tls = Endpoint::from(uri).tls_config(tls);
                with_tls.map_err(|error| format!("TLS cannot be set up: {}", cause(&error)))?
            }
            _ => return Err(wrong()),
        };
        Ok(Self {
            endpoint: endpoint.connect_timeout(timeout),
            metadata: metadata(headers)?,
            timeout,
        })
    }
}

impl CollectorSettings {
    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> &http::Uri {
        self.endpoint.uri()
    }
}

/// Returns headers as metadata. The error does not show their values.
fn metadata(headers: &[(String, String)]) -> Result<MetadataMap, String> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        let key = name.to_ascii_lowercase().parse::<MetadataKey<Ascii>>();
        let key = key.map_err(|_| format!("{name:?} is not the name of a header"))?;
        let value = value.parse::<MetadataValue<Ascii>>();
        let mut value =
            value.map_err(|_| format!("the value of {name:?} has other characters than ASCII"))?;
        value.set_sensitive(true);
        metadata.append(key, value);
    }
    Ok(metadata)
}

/// A collector, with one connection that is made when it is first used.
#[derive(Debug)]
pub(super) struct Collector {
    client: Grpc<Channel>,
    metadata: MetadataMap,
    timeout: Duration,
    resource: Resource,
}

impl Collector {
    /// Creates the client. It must be called on a runtime.
    pub fn new(settings: &CollectorSettings, resource: Resource) -> Self {
        let channel = settings.endpoint.connect_lazy();
        let client = Grpc::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        let CollectorSettings { metadata, timeout, .. } = settings.clone();
        Self { client, metadata, timeout, resource }
    }

    /// Sends spans. The error says why they are lost; it has no text of the collector.
    pub async fn send(&self, spans: Vec<SpanMessage>) -> Result<(), String> {
        let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").into());
        let scope_spans = vec![ScopeSpans { scope: Some(Scope { name, version }), spans }];
        let resource = Some(self.resource.clone());
        let message =
            ExportRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] };
        let mut attempt = 1;
        loop {
            let sent = tokio::time::timeout(self.timeout, self.send_once(message.clone())).await;
            match sent.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))) {
                Ok(()) => return Ok(()),
                Err(status) if attempt < ATTEMPTS && may_be_repeated(status.code()) => {}
                Err(status) => return Err(sentence(&status)),
            }
            tokio::time::sleep(PAUSE).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, message: ExportRequest) -> Result<(), Status> {
        let mut client = self.client.clone();
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        let codec = ProstCodec::<ExportRequest, ExportResponse>::default();
        let answer = client.unary(request, PathAndQuery::from_static(EXPORT), codec).await?;
        match answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans) {
            0 => Ok(()),
            _ => Err(Status::invalid_argument("some spans were refused")),
        }
    }
}

/// Whether the standard lets a message be sent again after this answer.
fn may_be_repeated(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn sentence(status: &Status) -> String {
    match std::error::Error::source(status) {
        // Made on this side of the connection.
        Some(source) => format!("{}: {}", code_name(status.code()), innermost(source)),
        None => code_name(status.code()).to_owned(),
    }
}

fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e dyn std::error::Error {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, headers: &[(&str, &str)]) -> Result<CollectorSettings, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CollectorSettings::new(endpoint, None, &headers.collect::<Vec<_>>(), PAUSE)
    }

    #[test]
    fn an_endpoint_of_a_collector_is_a_scheme_and_an_authority() {
        for right in ["http://collector:4317", "http://collector:4317/", "https://otel.example"] {
            assert!(settings(right, &[]).is_ok(), "{right}");
        }
        for wrong in
            ["", "collector:4317", "grpc://collector", "http://c:4318/v1/traces", "http://"]
        {
            assert!(settings(wrong, &[]).unwrap_err().contains("expected http://"), "{wrong}");
        }
    }

    #[test]
    fn the_values_of_headers_are_never_shown() {
        let secret = [("Authorization", "Bearer the-secret")];
        let settings_with_secret = settings("http://collector:4317", &secret).unwrap();
        let shown = format!("{settings_with_secret:?}");
        assert!(shown.contains("authorization") && !shown.contains("the-secret"), "{shown}");
        for wrong in [("a b", "the-secret"), ("a", "the-secret\n")] {
            let refused = settings("http://collector:4317", &[wrong]).unwrap_err();
            assert!(!refused.contains("the-secret"), "{refused}");
        }
    }
}
