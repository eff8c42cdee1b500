//! A collector of traces for tests: a gRPC server that keeps the spans that it gets. Its messages are
//! those of `traces::otlp`; `tests/traces/run` sends the spans to a published collector.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use cdn_activation::traces::otlp::{
    AttributeValue, EXPORT, ExportRequest, ExportResponse, Resource, SpanMessage,
};
use cdn_activation::traces::{CollectorSettings, Sampler, TraceSettings, Traces};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::eventually;

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
    pub spans: Vec<SpanMessage>,
    /// The attributes of the processes that have sent them.
    pub resources: Vec<Resource>,
    /// The metadata `authorization` of each message.
    pub authorizations: Vec<Option<String>>,
}

impl TestCollector {
    /// Starts a collector that keeps all spans.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let collector = Self {
            address: listener.local_addr().expect("bound"),
            got: Arc::default(),
            takes: Arc::new(Mutex::new(Takes::All)),
        };
        let server = Server::builder().add_service(collector.clone());
        let serving = server.serve_with_incoming(TcpIncoming::from(listener));
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
    pub async fn span(&self, what: &str, is_it: impl Fn(&SpanMessage) -> bool) -> SpanMessage {
        let find = || self.got().spans.into_iter().find(&is_it);
        eventually(what, async || find().is_some()).await;
        find().expect("just found")
    }
}

/// Starts traces that are sent to an address.
pub fn traces_to(address: SocketAddr, sampler: &str) -> Traces {
    let headers = [("Authorization".to_owned(), "Bearer token-of-the-collector".to_owned())];
    let endpoint = format!("http://{address}");
    let timeout = Duration::from_secs(10);
    let collector = CollectorSettings::new(&endpoint, None, &headers, timeout);
    Traces::start(&TraceSettings {
        collector: collector.expect("an endpoint"),
        sampler: Sampler::parse(sampler, None).expect("a sampler"),
        resource: vec![("deployment.environment.name".to_owned(), "test".to_owned())],
    })
}

/// Returns the attributes of a span as texts.
pub fn attributes(span: &SpanMessage) -> BTreeMap<String, String> {
    let texts = span.attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.clone());
        let text = match value.expect("a value") {
            AttributeValue::Text(text) => text,
            AttributeValue::Number(number) => number.to_string(),
        };
        (attribute.key.clone(), text)
    });
    texts.collect()
}

/// Returns bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    super::rest::hex(bytes)
}

impl UnaryService<ExportRequest> for TestCollector {
    type Response = ExportResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<ExportResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<ExportRequest>) -> Self::Future {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|value| value.to_str().expect("visible").to_owned());
        let takes = *self.takes.lock().expect("not poisoned");
        let mut got = self.got.lock().expect("not poisoned");
        got.authorizations.push(authorization);
        if let Takes::Refuses(code) = takes {
            return std::future::ready(Err(Status::new(code, "hostile\ntext"))).boxed();
        }
        for of_process in request.into_inner().resource_spans {
            got.resources.extend(of_process.resource);
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            got.spans.extend(spans);
        }
        std::future::ready(Ok(tonic::Response::new(ExportResponse::default()))).boxed()
    }
}

impl NamedService for TestCollector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<Request<Body>> for TestCollector {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), EXPORT);
        let collector = self.clone();
        async move {
            let codec = ProstCodec::<ExportResponse, ExportRequest>::default();
            Ok(Grpc::new(codec).unary(collector, request).await)
        }
        .boxed()
    }
}
