//! The span of a request in the RPC query format.

use http::{Method, Request, Response, StatusCode};

use crate::context::Peer;
use crate::traces::{OpenSpan, Position, Sender, SpanKind, Traces};

/// Largest part of the path, or of an unknown method, that is recorded, in bytes. They are texts of
/// the client.
const LONGEST_TEXT: usize = 128;
/// The methods that the conventions of OpenTelemetry know.
const KNOWN: [&str; 9] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// The span of a request; empty if the request is not sampled. A request on which the shim panics is
/// answered with the status 500. One that is dropped for another reason has no status.
#[derive(Debug, Default)]
pub(super) struct RequestSpan(Option<OpenSpan>);

/// Begins the span of a request, if the request is sampled. Returns the position at which the request
/// has to be answered. The query is never recorded: it contains the signature.
pub(super) fn begin<B>(traces: &Traces, request: &Request<B>) -> (Option<Position>, RequestSpan) {
    let Some(begun) = traces.begin(request.headers(), Sender::Anyone) else {
        return (None, RequestSpan::default());
    };
    let known = known(request.method());
    let span = begun.span(SpanKind::Server, || known.unwrap_or("HTTP").into());
    let span = span.map(|mut span| {
        span.set("http.request.method", known.unwrap_or("_OTHER"));
        if known.is_none() {
            let given = recorded(request.method().as_str()).to_owned();
            span.set("http.request.method_original", given);
        }
        span.set("url.path", recorded(request.uri().path()).to_owned());
        if let Some(peer) = request.extensions().get::<Peer>() {
            span.set("url.scheme", if peer.has_tls { "https" } else { "http" });
            span.set("client.address", peer.address.to_string());
        }
        span
    });
    (Some(begun.position()), RequestSpan(span))
}

/// Returns the name of a method that is known. Other methods are texts of clients.
fn known(method: &Method) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

/// Returns the beginning of a text of the client.
fn recorded(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

impl RequestSpan {
    /// Adds the action to the name of the span, as permission policies name it, once the caller is
    /// authenticated.
    pub fn name_action(&mut self, action: &str) {
        if let Some(span) = &mut self.0 {
            span.add_to_name(action);
        }
    }

    /// Ends the span with the status of the answer.
    pub fn finished<B>(mut self, response: &Response<B>) {
        self.end(response.status());
    }

    fn end(&mut self, status: StatusCode) {
        let Some(mut span) = self.0.take() else { return };
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.fail(status.as_str().to_owned());
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_client_is_cut_and_an_unknown_method_has_no_name() {
        let long = "/".to_owned() + &"é".repeat(LONGEST_TEXT);
        assert_eq!(recorded(&long).len(), LONGEST_TEXT - 1);
        assert_eq!(recorded("/a"), "/a");
        for (given, expected) in
            [("GET", Some("GET")), ("DELETE", Some("DELETE")), ("get", None), ("BREW", None)]
        {
            assert_eq!(known(&given.parse().unwrap()), expected);
        }
    }
}
