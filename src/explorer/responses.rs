//! The responses of the explorer, with the headers that keep a page to its own origin.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY};
use http::response::Builder;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::assets::JSON;
use super::page;
use crate::error::texts::Language;
use crate::explain;

pub const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The page may load only what this server has, and no other page may show it in a frame.
const SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Largest request to explain a signature, in bytes: two texts of 64 KiB, and what surrounds and
/// escapes them in JSON.
const LARGEST_BODY: usize = 192 * 1024;
/// Largest number of such requests at the same time.
const MOST_WAITING: usize = 8;
/// How long such a request may take to arrive, and how long it may then wait for others.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A content with its type and its tag.
#[derive(Clone, Debug)]
pub struct Content {
    media_type: &'static str,
    bytes: Bytes,
    etag: String,
}

impl Content {
    /// Computes the tag of a content.
    pub fn new(media_type: &'static str, text: impl Into<Bytes>) -> Self {
        let bytes = text.into();
        let digest = hex::encode(Sha256::digest(&bytes));
        Self { media_type, bytes, etag: format!("\"{}\"", &digest[..16]) }
    }

    /// Returns the content, or that it has not changed since the caller got it.
    pub fn response(self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        // A proxy that compresses makes the tag weak.
        let is_same =
            |tag: &str| [self.etag.as_str(), "*"].contains(&tag.trim().trim_start_matches("W/"));
        if known.is_some_and(|known| known.split(',').any(is_same)) {
            let response = start(StatusCode::NOT_MODIFIED).header(ETAG, self.etag);
            return finish(response, Bytes::new());
        }
        let response = start(StatusCode::OK).header(ETAG, self.etag);
        finish(response.header(CONTENT_TYPE, self.media_type), self.bytes)
    }
}

fn start(status: StatusCode) -> Builder {
    Response::builder()
        .status(status)
        .header(CACHE_CONTROL, "no-cache")
        .header(VARY, "accept-language")
        .header("content-security-policy", SECURITY_POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
}

fn finish(response: Builder, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response.body(Full::new(body.into())).expect("every header value is valid")
}

/// Sends the browser to another path.
pub fn moved(path: &'static str) -> Response<Full<Bytes>> {
    finish(start(StatusCode::PERMANENT_REDIRECT).header(LOCATION, path), Bytes::new())
}

/// Refuses a method.
pub fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let response = start(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, allowed);
    finish(response.header(CONTENT_TYPE, TEXT), format!("allowed: {allowed}\n"))
}

/// Says that there is no such page.
pub fn not_found(language: Language) -> Response<Full<Bytes>> {
    let response = start(StatusCode::NOT_FOUND).header(CONTENT_TYPE, HTML);
    finish(response, page::not_found(language))
}

/// The places of requests to explain a signature.
pub struct Turns {
    /// For those whose body is read, and those that wait or run.
    waiting: Semaphore,
    /// For the one that runs.
    running: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { waiting: Semaphore::new(MOST_WAITING), running: Semaphore::new(1) }
    }
}

/// Explains a signature. The text comes without the secret. One request at a time is explained, on a
/// thread of its own, because a long text takes a while.
pub async fn explained<B>(request: Request<B>, turns: &Turns) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    let refuse = |status, text: String| finish(start(status).header(CONTENT_TYPE, TEXT), text);
    let too_many =
        || refuse(StatusCode::SERVICE_UNAVAILABLE, "too many texts wait: try later\n".into());
    let Ok(_place) = turns.waiting.try_acquire() else { return too_many() };
    let body = std::pin::pin!(Limited::new(request.into_body(), LARGEST_BODY));
    let body = match tokio::time::timeout(TIMEOUT, body.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) => {
            let text = format!("the request is longer than {LARGEST_BODY} bytes, or broken off\n");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        Err(_) => {
            return refuse(StatusCode::REQUEST_TIMEOUT, "the text did not arrive in time\n".into());
        }
    };
    let Ok(Ok(_turn)) = tokio::time::timeout(TIMEOUT, turns.running.acquire()).await else {
        return too_many();
    };
    let explained = tokio::task::spawn_blocking(move || explain::answer(&body)).await;
    match explained.unwrap_or_else(|_| Err("the text cannot be explained".to_owned())) {
        Ok(json) => finish(start(StatusCode::OK).header(CONTENT_TYPE, JSON), json),
        Err(sentence) => refuse(StatusCode::BAD_REQUEST, format!("{sentence}\n")),
    }
}
