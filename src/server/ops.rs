//! The pages for the tools of operators: liveness, readiness and metrics. They are plain text
//! without business data.

use std::sync::Arc;

use ::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;

use super::entrance::Entrance;
use super::http::{self, HttpOptions};
use super::readiness::Readiness;
use super::shared::Shared;
use crate::metrics::Metrics;
use crate::runtime::{Connections, Pulses};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older format, for a reader that asks for it.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the pages until the ops listener closes.
pub(super) fn serve(
    connections: Connections,
    readiness: Readiness,
    shared: &Shared,
) -> impl Future<Output = ()> + use<> {
    let Shared { settings, metrics, pulses, .. } = shared.clone();
    let listener = metrics.listener("ops");
    let handler = move |request| {
        let response = answer(&request, &readiness, &pulses, &metrics);
        match response.status().as_str() {
            "200" => listener.answered(),
            status => listener.refused(status),
        }
        async move { response }
    };
    let options = HttpOptions {
        keep_alive: settings.bounds.keep_alive,
        complete: Arc::new(answer_to_what_is_no_request),
    };
    http::serve(connections, Entrance::default(), handler, options)
}

/// Answers one ops request.
#[must_use]
pub fn answer<B>(
    request: &Request<B>,
    readiness: &Readiness,
    pulses: &Pulses,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    let unavailable = |why| text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why);
    match request.uri().path() {
        "/livez" => match pulses.blocked() {
            None => text(StatusCode::OK, "text/plain", "alive\n"),
            Some((core, seconds)) => {
                unavailable(format!("{core} has not turned its loop for {seconds} s\n"))
            }
        },
        "/readyz" => match readiness.why_unready() {
            None => text(StatusCode::OK, "text/plain", "ready\n"),
            Some(why) => unavailable(format!("not ready: {why}\n")),
        },
        "/metrics" if asks_for_text(request) => {
            text(StatusCode::OK, PROMETHEUS, metrics.render_as_text())
        }
        "/metrics" => text(StatusCode::OK, OPENMETRICS, metrics.render()),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "no such page: /livez, /readyz, /metrics\n"),
    }
}

/// Whether the reader of the metrics knows only the older text format.
fn asks_for_text<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.contains("text/plain") && !accepted.contains("openmetrics")
    })
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
