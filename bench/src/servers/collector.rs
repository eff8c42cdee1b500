//! A collector that takes spans and forgets them, for a service with traces.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use cdn_activation::traces::otlp::{ExportRequest, ExportResponse};
use futures_util::future::{BoxFuture, FutureExt, Ready, ready};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;

use super::on_runtime;

/// Starts a collector on a thread of its own, which ends with the process. Returns its address.
pub fn start() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        on_runtime(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let server = Server::builder().add_service(Forgetful);
            Ok(server.serve_with_incoming(TcpIncoming::from(listener)).await?)
        })
    });
    Ok(address)
}

#[derive(Clone, Copy)]
struct Forgetful;

impl UnaryService<ExportRequest> for Forgetful {
    type Response = ExportResponse;
    type Future = Ready<Result<tonic::Response<ExportResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<ExportRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(ExportResponse::default())))
    }
}

impl NamedService for Forgetful {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<Request<Body>> for Forgetful {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        async move {
            let codec = ProstCodec::<ExportResponse, ExportRequest>::default();
            Ok(Grpc::new(codec).unary(Forgetful, request).await)
        }
        .boxed()
    }
}
