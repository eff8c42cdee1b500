//! A caller over gRPC on the `h2` crate. It has a connection of its own, and opens another one if the
//! server asks it to leave. It never sends a call twice.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::{Method, Request, Version};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::cases::Calling;

/// An empty message, as gRPC frames it.
const MESSAGE: Bytes = Bytes::from_static(&[0; 5]);
/// The longest time of a call.
const DEADLINE: Duration = Duration::from_secs(10);
/// Attempts to find a replica that accepts a connection and a call.
const ATTEMPTS: usize = 10;

/// One caller.
pub struct GrpcCaller {
    targets: Arc<[SocketAddr]>,
    /// The index of the next target.
    turn: usize,
    token: String,
    account: i64,
    connection: Option<SendRequest<Bytes>>,
}

impl GrpcCaller {
    pub fn new(targets: Arc<[SocketAddr]>, turn: usize, token: &str, account: i64) -> Self {
        Self { targets, turn, token: format!("Bearer {token}"), account, connection: None }
    }

    /// Sends the call on a connection that takes it.
    async fn send(&mut self) -> anyhow::Result<ResponseFuture> {
        for _ in 0..ATTEMPTS {
            let Some(mut connection) = self.connection.take() else {
                self.connect().await;
                continue;
            };
            // An error here means that the server asked to leave: nothing was sent.
            if poll_fn(|context| connection.poll_ready(context)).await.is_err() {
                continue;
            }
            let Ok((answer, mut stream)) = connection.send_request(self.request()?, false) else {
                continue;
            };
            stream.send_data(MESSAGE, true)?;
            self.connection = Some(connection);
            return Ok(answer);
        }
        bail!("no target takes a call")
    }

    /// Connects to the next target that accepts a connection.
    async fn connect(&mut self) {
        for _ in 0..self.targets.len() {
            let target = self.targets[self.turn % self.targets.len()];
            self.turn += 1;
            let Ok(stream) = TcpStream::connect(target).await else { continue };
            stream.set_nodelay(true).ok();
            if let Ok((sender, connection)) = h2::client::handshake(stream).await {
                tokio::spawn(connection);
                self.connection = Some(sender);
                return;
            }
        }
    }

    fn request(&self) -> anyhow::Result<Request<()>> {
        let path = "/activation.cdn.v1.CdnService/DescribeCdnService";
        Ok(Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("http://cdn-activation{path}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(AUTHORIZATION, &self.token)
            .header("x-account-id", self.account)
            .body(())?)
    }
}

impl Calling for GrpcCaller {
    async fn call(&mut self) -> anyhow::Result<()> {
        let exchange = async {
            let answer = self.send().await?;
            check(answer).await
        };
        timeout(DEADLINE, exchange).await.context("no answer")?
    }
}

/// Reads an answer, and checks that it is one of success.
async fn check(answer: ResponseFuture) -> anyhow::Result<()> {
    let (head, mut body) = answer.await.context("the call was not answered")?.into_parts();
    ensure!(head.status == 200, "HTTP status {}", head.status);
    let mut length = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk.context("the answer broke off")?;
        body.flow_control().release_capacity(chunk.len())?;
        length += chunk.len();
    }
    let trailers = body.trailers().await.context("the answer has no end")?;
    let headers = trailers.as_ref().unwrap_or(&head.headers);
    let status = headers.get("grpc-status").context("the answer has no status")?;
    ensure!(status == "0" && length > MESSAGE.len(), "refused: {headers:?}");
    Ok(())
}
