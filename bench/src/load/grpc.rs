//! Callers over gRPC on the `h2` crate. The callers of a connection share it: each has one stream
//! at a time, and sends its next call when the answer is there and has been checked.

use std::future::poll_fn;
use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::accounts::instance_id;
use super::work::Work;
use super::{Address, Load, traceparent};

const ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Windows that take all answers without an update in between.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;
/// Length of a message with a request id: tag, length, 36 characters.
const REQUEST_ID: usize = 38;
/// Length of gRPC's own header before a message.
const MESSAGE_HEADER: usize = 5;

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It names the account's instance.
    OwnInstance,
    /// It names an instance, of an account that the server made up.
    AnyInstance,
    /// It has a request id and nothing else.
    RequestId,
}

/// A unary call, complete but for its account.
#[derive(Clone, Debug)]
pub struct Template {
    uri: Uri,
    headers: HeaderMap,
    message: Bytes,
    is_in_a_trace: bool,
}

impl Template {
    /// A call of `path` with an encoded message.
    pub fn new(authority: &str, path: &str, token: &str, message: &[u8]) -> anyhow::Result<Self> {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (TE, HeaderValue::from_static("trailers")),
            (AUTHORIZATION, format!("Bearer {token}").try_into()?),
        ]);
        let uri = format!("http://{authority}{path}").parse()?;
        Ok(Self { uri, headers, message: framed(message)?, is_in_a_trace: false })
    }

    /// Sends a `traceparent` with each call, or none.
    pub fn in_a_trace(self, is_in_a_trace: bool) -> Self {
        Self { is_in_a_trace, ..self }
    }

    fn request(&self, account: u64) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().insert(ACCOUNT_ID, account.into());
        if self.is_in_a_trace
            && let Ok(parent) = traceparent(account).try_into()
        {
            request.headers_mut().insert(TRACEPARENT, parent);
        }
        request
    }
}

/// Returns a message as gRPC frames it: not compressed, its length, the message.
fn framed(message: &[u8]) -> anyhow::Result<Bytes> {
    let length = u32::try_from(message.len())?;
    Ok([&[0], &length.to_be_bytes()[..], message].concat().into())
}

/// One caller.
pub struct Caller {
    sender: SendRequest<Bytes>,
    template: Template,
    expected: Expected,
}

/// Connects all callers of a load.
pub async fn connect(
    address: &Address,
    load: Load,
    template: &Template,
    expected: Expected,
) -> anyhow::Result<Vec<Caller>> {
    let mut callers = Vec::new();
    for _ in 0..load.connections {
        let stream = address.connect().await?;
        let mut builder = Builder::new();
        builder.enable_push(false).initial_window_size(STREAM_WINDOW);
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake(stream).await?;
        // The callers see it if the connection fails.
        tokio::spawn(connection);
        let caller = || Caller { sender: sender.clone(), template: template.clone(), expected };
        callers.extend((0..load.streams).map(|_| caller()));
    }
    Ok(callers)
}

impl Caller {
    /// Calls until there is no further account.
    pub async fn run(mut self, work: &Work<'_>) {
        while let Some(account) = work.next_account() {
            let sent = Instant::now();
            let answer = self.call(account).await;
            let is_broken = answer.as_ref().is_err_and(anyhow::Error::is::<h2::Error>);
            work.answered(account, sent, answer);
            if is_broken {
                return work.stop();
            }
        }
    }

    async fn call(&mut self, account: u64) -> anyhow::Result<()> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        let (response, mut stream) =
            self.sender.send_request(self.template.request(account), false)?;
        stream.send_data(self.template.message.clone(), true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut data = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            data.extend_from_slice(&chunk);
        }
        let trailers = body.trailers().await?;
        let headers = trailers.as_ref().unwrap_or(&head.headers);
        let status = headers.get(GRPC_STATUS).context("the answer has no status")?;
        ensure!(status == "0", "refused: {headers:?}");
        self.expected.check(&data, account)
    }
}

impl Expected {
    /// Checks the data of an answer.
    fn check(self, data: &[u8], account: u64) -> anyhow::Result<()> {
        let message = data.get(MESSAGE_HEADER..).unwrap_or_default();
        let right = match self {
            Self::RequestId => message.len() == REQUEST_ID && message.starts_with(&[0x0a, 36]),
            Self::AnyInstance => message.get(REQUEST_ID) == Some(&0x12),
            Self::OwnInstance => {
                let field = format!("\x12\x0c{}", instance_id(account));
                message.windows(field.len()).any(|part| part == field.as_bytes())
            }
        };
        ensure!(right, "the answer is {}", data.escape_ascii());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_for_another_account_is_wrong() {
        let id = [b"\0\0\0\0\x34\x0a\x24", &[b'A'; 36][..]].concat();
        assert!(Expected::RequestId.check(&id, 1).is_ok());
        assert!(Expected::OwnInstance.check(&id, 12_345_678).is_err());
        let described = [&id[..], b"\x12\x0cFP-a12345678\x18\x01"].concat();
        assert!(Expected::OwnInstance.check(&described, 12_345_678).is_ok());
        assert!(Expected::OwnInstance.check(&described, 12_345_679).is_err());
        assert!(Expected::RequestId.check(&described, 1).is_err());
        assert!(Expected::AnyInstance.check(&described, 1).is_ok());
    }
}
