//! How a plain HTTP/1 listener serves: the REST shim and the ops pages. Hyper directly, for its
//! timer on headers and for limits below which every request gets a documented answer.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::runtime::Connections;

/// How long a client may take to send the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then finishes what runs.
pub async fn serve<H, F>(mut connections: Connections, handler: H, shutdown: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    loop {
        let next = tokio::select! {
            next = connections.next() => next,
            () = shutdown.cancelled() => None,
        };
        match next {
            Some(Ok(stream)) => connection(stream, handler.clone(), &graceful),
            Some(Err(error)) => tracing::warn!(%error, "a connection could not be taken over"),
            None => break,
        }
    }
    drop(connections);
    graceful.shutdown().await;
}

fn connection<H, F>(stream: TcpStream, handler: H, graceful: &GracefulShutdown)
where
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = handler(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended"); // the client's doing: broken off, or no HTTP
        }
    });
}
