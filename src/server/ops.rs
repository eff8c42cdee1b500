//! The pages for the tools of operators: liveness, readiness and metrics. They are plain text
//! without business data.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;

use super::readiness::Readiness;
use crate::metrics::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers one ops request.
#[must_use]
pub fn answer<B>(
    request: &Request<B>,
    readiness: &Readiness,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "text/plain", "alive\n"),
        "/readyz" => match readiness.why_unready() {
            None => text(StatusCode::OK, "text/plain", "ready\n"),
            Some(why) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("not ready: {why}\n"))
            }
        },
        "/metrics" => text(StatusCode::OK, OPENMETRICS, metrics.render()),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "no such page: /livez, /readyz, /metrics\n"),
    }
}

/// Returns the answer to bytes that hyper cannot read as a request.
pub fn answer_to_what_is_no_request(status: u16) -> Vec<u8> {
    let text = "the request cannot be read as HTTP\n";
    format!(
        "HTTP/1.1 {status} Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len(),
    )
    .into_bytes()
}

fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
