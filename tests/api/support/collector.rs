//! A collector of traces for tests: a gRPC server that keeps the spans that it gets.
//! `tests/traces/run` sends the spans to a published collector.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdn_activation::traces::{CollectorSettings, TraceSettings, Traces, sampler};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
pub use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

use super::eventually;
use super::tls::Issued;

/// What the collector does with spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It keeps them.
    All,
    /// It answers with this code.
    Refuses(Code),
}

/// A running collector. Clones share it.
#[derive(Clone)]
pub struct TestCollector {
    /// The address of its listener.
    pub address: SocketAddr,
    got: Arc<Mutex<Got>>,
    takes: Arc<Mutex<Takes>>,
}

/// What the collector has got.
#[derive(Clone, Debug, Default)]
pub struct Got {
    /// The spans, in the order of their ends.
    pub spans: Vec<Span>,
    /// The attributes of the processes that have sent them.
    pub resources: Vec<Resource>,
    /// The metadata `authorization` of each message.
    pub authorizations: Vec<Option<String>>,
}

impl TestCollector {
    /// Starts a collector that keeps all spans.
    pub async fn start() -> Self {
        Self::serve(Server::builder()).await
    }

    /// Starts one with TLS and this certificate.
    pub async fn start_with_tls(issued: &Issued) -> Self {
        let identity = Identity::from_pem(&issued.certificate, &issued.key);
        let tls = ServerTlsConfig::new().identity(identity);
        Self::serve(Server::builder().tls_config(tls).expect("a certificate")).await
    }

    async fn serve(mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let collector = Self {
            address: listener.local_addr().expect("bound"),
            got: Arc::default(),
            takes: Arc::new(Mutex::new(Takes::All)),
        };
        let service = TraceServiceServer::new(collector.clone());
        let service = service.accept_compressed(CompressionEncoding::Gzip);
        let serving = server.add_service(service);
        let serving = serving.serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(async move { serving.await.expect("serves") });
        collector
    }

    /// Changes what it does.
    pub fn behave(&self, takes: Takes) {
        *self.takes.lock().expect("not poisoned") = takes;
    }

    /// Starts traces that are sent to it.
    pub fn traces(&self, sampler: &str) -> Traces {
        traces_to(self.address, sampler)
    }

    /// Returns what it has got.
    pub fn got(&self) -> Got {
        self.got.lock().expect("not poisoned").clone()
    }

    /// Waits until it has got a span that fulfils a condition, and returns the span.
    pub async fn span(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        let find = || self.got().spans.into_iter().find(&is_it);
        eventually(what, async || find().is_some()).await;
        find().expect("just found")
    }
}

/// Starts traces that are sent to an address.
pub fn traces_to(address: SocketAddr, sampler: &str) -> Traces {
    start_traces(collector_at(&format!("http://{address}"), None), sampler)
}

/// Returns settings for a collector at an endpoint.
pub fn collector_at(endpoint: &str, authorities: Option<&str>) -> CollectorSettings {
    collector_within(endpoint, authorities, Duration::from_secs(10))
}

/// The same, with this time limit of a message.
pub fn collector_within(
    endpoint: &str,
    authorities: Option<&str>,
    limit: Duration,
) -> CollectorSettings {
    let headers = [("Authorization".to_owned(), "Bearer token-of-the-collector".to_owned())];
    let authorities = authorities.map(str::as_bytes);
    let settings = CollectorSettings::new(endpoint, authorities, limit).expect("an endpoint");
    let settings = settings.with_headers(&headers).expect("a header");
    settings.compressed(authorities.is_some())
}

/// Starts traces that are sent to an address, with a time limit of one second.
pub fn hasty_traces_to(address: SocketAddr) -> Traces {
    let endpoint = format!("http://{address}");
    start_traces(collector_within(&endpoint, None, Duration::from_secs(1)), "always_on")
}

/// Starts traces that are sent to a collector.
pub fn start_traces(collector: CollectorSettings, name: &str) -> Traces {
    let settings = TraceSettings {
        collector,
        sampler: sampler(Some(name), None).expect("a sampler"),
        resource: vec![("deployment.environment.name".to_owned(), "test".to_owned())],
    };
    Traces::start(settings).expect("the exporter is built")
}

/// Returns the attributes of a span as texts.
pub fn attributes(span: &Span) -> BTreeMap<String, String> {
    let texts = span.attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.clone());
        let text = match value.expect("a value") {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (attribute.key.clone(), text)
    });
    texts.collect()
}

/// Returns bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    super::rest::hex(bytes)
}

#[tonic::async_trait]
impl TraceService for TestCollector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|value| value.to_str().expect("visible").to_owned());
        let takes = *self.takes.lock().expect("not poisoned");
        let mut got = self.got.lock().expect("not poisoned");
        got.authorizations.push(authorization);
        if let Takes::Refuses(code) = takes {
            return Err(Status::new(code, "hostile\ntext"));
        }
        for of_process in request.into_inner().resource_spans {
            got.resources.extend(of_process.resource);
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            got.spans.extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
