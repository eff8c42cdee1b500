//! The collector: where it is, what is sent along, and the exporter of the SDK that sends spans to it
//! (OTLP over gRPC).

use std::time::Duration;

use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithTonicConfig};
use tonic::metadata::{Ascii, KeyAndMutValueRef, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// Longest time without an answer until the connection is probed, and longest time for the answer to
/// that.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Where the collector is, and what is sent along.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    endpoint: Endpoint,
    /// Its values are marked as sensitive, so `Debug` does not show them.
    metadata: MetadataMap,
    timeout: Duration,
    compresses: bool,
}

impl CollectorSettings {
    /// Returns settings for a collector at `http://host:port` or `https://host:port`. Its certificate
    /// is verified by `authorities` in PEM, or by those of the operating system. The error is a
    /// sentence.
    pub fn new(
        endpoint: &str,
        authorities: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Self, String> {
        const EXPECTED: &str = "expected http://host:port or https://host:port";
        if endpoint.contains('@') {
            return Err(format!("a user and a password are not possible; {EXPECTED}"));
        }
        let wrong = || format!("{endpoint:?} is not an endpoint; {EXPECTED}");
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
        // Only while it waits for an answer: some servers refuse probes of a connection that is idle.
        let silence = timeout.min(LONGEST_SILENCE);
        let endpoint = endpoint.http2_keep_alive_interval(silence).keep_alive_timeout(silence);
        let endpoint = endpoint.tcp_keepalive(Some(LONGEST_SILENCE)).connect_timeout(timeout);
        Ok(Self { endpoint, metadata: MetadataMap::new(), timeout, compresses: false })
    }

    /// Sends these headers with each message. The error is a sentence, without their values.
    pub fn with_headers(self, headers: &[(String, String)]) -> Result<Self, String> {
        Ok(Self { metadata: metadata(headers)?, ..self })
    }

    /// Makes messages be compressed with gzip.
    #[must_use]
    pub fn compressed(self, compresses: bool) -> Self {
        Self { compresses, ..self }
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> &http::Uri {
        self.endpoint.uri()
    }

    /// Returns the time limit of one message.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns an exporter with one connection, which is made on this runtime when it is first used.
    pub(super) fn exporter(self) -> Result<SpanExporter, String> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            // With the channel of the SDK, nothing limits the time of a connection that is not answered.
            .with_channel(self.endpoint.connect_lazy())
            .with_metadata(self.metadata)
            .with_interceptor(conceal)
            .with_timeout(self.timeout);
        let exporter =
            if self.compresses { exporter.with_compression(Compression::Gzip) } else { exporter };
        exporter.build().map_err(|error| error.to_string())
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

/// Marks all values as sensitive. The SDK reads the variables of headers, too, and replaces the values
/// that are given to it by those, which are not marked.
#[expect(clippy::unnecessary_wraps, reason = "an interceptor of tonic returns a result")]
fn conceal(mut request: Request<()>) -> Result<Request<()>, Status> {
    for entry in request.metadata_mut().iter_mut() {
        match entry {
            KeyAndMutValueRef::Ascii(_, value) => value.set_sensitive(true),
            KeyAndMutValueRef::Binary(_, value) => value.set_sensitive(true),
        }
    }
    Ok(request)
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, headers: &[(&str, &str)]) -> Result<CollectorSettings, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = headers.collect::<Vec<_>>();
        CollectorSettings::new(endpoint, None, Duration::from_secs(1))?.with_headers(&headers)
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
        let refused = settings("http://user:the-secret@collector:4317", &[]).unwrap_err();
        assert!(refused.contains("a user") && !refused.contains("the-secret"), "{refused}");
    }

    #[tokio::test]
    async fn the_values_of_headers_are_never_shown() {
        let secret = [("Authorization", "Bearer the-secret")];
        let settings_with_secret = settings("http://collector:4317", &secret).unwrap();
        let exporter = settings_with_secret.clone().exporter().unwrap();
        let shown = format!("{settings_with_secret:?}{exporter:?}");
        assert!(shown.contains("authorization") && !shown.contains("the-secret"), "{shown}");
        for wrong in [("a b", "the-secret"), ("a", "the-secret\n")] {
            let refused = settings("http://collector:4317", &[wrong]).unwrap_err();
            assert!(!refused.contains("the-secret"), "{refused}");
        }
        let mut given_by_the_sdk = Request::new(());
        given_by_the_sdk.metadata_mut().insert("authorization", "the-secret".parse().unwrap());
        let shown = format!("{:?}", conceal(given_by_the_sdk).unwrap());
        assert!(shown.contains("authorization") && !shown.contains("the-secret"), "{shown}");
    }
}
