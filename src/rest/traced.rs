//! The span of a request in the RPC query format.

use http::{Method, Request, Response};

use crate::context::Peer;
use crate::traces::{OpenSpan, Position, Sender, SpanKind, Traces};

/// Largest part of the path that is recorded, in bytes. The path is a text of the client.
const LONGEST_PATH: usize = 128;
/// The first status that is an error of the server.
const FIRST_ERROR: u16 = 500;

/// The span of a request; empty if the request is not sampled.
#[derive(Debug, Default)]
pub(super) struct RequestSpan(Option<OpenSpan>);

/// Begins the span of a request, if the request is sampled. Returns the position at which the request
/// has to be answered. The query is never recorded: it contains the signature.
pub(super) fn begin<B>(traces: &Traces, request: &Request<B>) -> (Option<Position>, RequestSpan) {
    let Some(begun) = traces.begin(request.headers(), Sender::Anyone) else {
        return (None, RequestSpan::default());
    };
    let span = begun.span(SpanKind::Server, || method(request.method()).into());
    let span = span.map(|mut span| {
        span.set("http.request.method", method_attribute(request.method()));
        span.set("url.path", recorded(request.uri().path()).to_owned());
        if let Some(peer) = request.extensions().get::<Peer>() {
            span.set("url.scheme", if peer.has_tls { "https" } else { "http" });
            span.set("client.address", peer.address.to_string());
        }
        span
    });
    (Some(begun.position()), RequestSpan(span))
}

/// Returns the method in the name of a span. Other methods are texts of clients.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "HTTP",
    }
}

fn method_attribute(of: &Method) -> &'static str {
    match method(of) {
        "HTTP" => "_OTHER",
        known => known,
    }
}

/// Returns the beginning of a path.
fn recorded(path: &str) -> &str {
    &path[..path.floor_char_boundary(LONGEST_PATH)]
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
    pub fn finished<B>(self, response: &Response<B>) {
        let Some(mut span) = self.0 else { return };
        let status = response.status().as_u16();
        span.set("http.response.status_code", i64::from(status));
        if status >= FIRST_ERROR {
            span.fail(status.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_and_a_method_is_one_of_three() {
        let long = "/".to_owned() + &"é".repeat(LONGEST_PATH);
        assert_eq!(recorded(&long).len(), LONGEST_PATH - 1);
        assert_eq!(recorded("/a"), "/a");
        for (given, expected) in [("GET", "GET"), ("POST", "POST"), ("BREW", "HTTP")] {
            assert_eq!(method(&given.parse().unwrap()), expected);
        }
        assert_eq!(method_attribute(&"BREW".parse().unwrap()), "_OTHER");
    }
}
