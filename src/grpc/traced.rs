//! The span of a call: begun in the guard, ended with the code of the answer, or with the stream.

use http::Request;
use tonic::Code;
use tonic::body::Body;

use super::authentication::HEALTH;
use super::layers::REFLECTION;
use crate::context::Context;
use crate::proto::is_method;
use crate::traces::{
    OpenSpan, Position, RPC_METHOD, RPC_STATUS, RPC_SYSTEM, Sender, SpanKind, Traces, child,
    code_name, is_error_of_server,
};

/// The attribute of a method that does not exist.
const OTHER: &str = "_OTHER";

/// The span of a call; empty if the call is not sampled. A call that is dropped before it is answered
/// was cancelled by its caller.
#[derive(Debug, Default)]
pub(super) struct CallSpan(Option<OpenSpan>);

/// Begins the span of a call, if the call is sampled. Returns the position at which the call has to
/// run. A call of the shim is a part of the request of its client. Health checks and reflection are
/// not traced.
pub(super) fn begin(traces: &Traces, request: &Request<Body>) -> (Option<Position>, CallSpan) {
    let path = request.uri().path();
    if path.starts_with(HEALTH) || path.starts_with(REFLECTION) {
        return (None, CallSpan::default());
    }
    let context = request.extensions().get::<Context>();
    if context.is_some_and(|context| context.wire == crate::context::Wire::Rest) {
        let span = child(SpanKind::Internal, || name(path).into());
        let span = span.map(|span| described(span, path, context));
        return (span.as_ref().map(OpenSpan::position), CallSpan(span));
    }
    let Some(begun) = traces.begin(request.headers(), Sender::Service) else {
        return (None, CallSpan::default());
    };
    let span = begun.span(SpanKind::Server, || name(path).into());
    (Some(begun.position()), CallSpan(span.map(|span| described(span, path, context))))
}

/// Returns the name of a span: that of the method, or of the system if there is no such method.
fn name(path: &str) -> String {
    method(path).unwrap_or(RPC_SYSTEM.1).to_owned()
}

/// Returns the name of the method. A path that is not that of a method is a text of the caller.
fn method(path: &str) -> Option<&str> {
    path.strip_prefix('/').filter(|_| is_method(path))
}

fn described(mut span: OpenSpan, path: &str, context: Option<&Context>) -> OpenSpan {
    span.set(RPC_SYSTEM.0, RPC_SYSTEM.1);
    span.set(RPC_METHOD, method(path).unwrap_or(OTHER).to_owned());
    if let Some(context) = context {
        span.set("activation.request_id", context.request_id.to_string());
        span.set("enduser.id", context.principal());
        if let Some(address) = context.origin.address {
            span.set("client.address", address.to_string());
        }
    }
    span
}

impl CallSpan {
    /// Ends the span with the code of the answer.
    pub fn finished(mut self, code: Code) {
        self.end(code);
    }

    fn end(&mut self, code: Code) {
        let Some(mut span) = self.0.take() else { return };
        span.set(RPC_STATUS, code_name(code));
        if is_error_of_server(code) {
            span.fail(code_name(code));
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
