//! Traces of OpenTelemetry: which calls are sampled, their spans, and the export of the spans to a
//! collector. `docs/operating.md` ("Traces") says what a span contains.
//!
//! The decision whether a call is sampled is made before a span is built ([`Traces::begin`]). A call
//! that is not sampled costs a look at its headers, a copy of its `tracestate` if it has one, and at
//! most two random ids; without a collector, it costs nothing. The samplers, the queue and OTLP are those of the SDK of OpenTelemetry. Its tracer is not
//! used, because it chooses the ids of a span itself, when it builds the span.
//!
//! The position of a call in its trace is local to its task ([`within`]). What the call starts in
//! another task has to carry the position along ([`carried`]).

mod collector;
mod current;
mod export;
mod headers;
mod recorder;
mod rpc;
mod sampler;
mod span;
mod statements;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{SpanContext, SpanId};

pub use self::collector::CollectorSettings;
pub use self::current::{Position, carried, current_trace_id, inject, within};
pub use self::export::SpanCounts;
use self::recorder::Recorder;
pub use self::recorder::TraceSettings;
pub use self::rpc::{RPC_METHOD, RPC_STATUS, RPC_SYSTEM, code_name, is_error_of_server};
pub use self::sampler::sampler;
pub use self::span::{OpenSpan, child};
pub use self::statements::{
    Asking, note_failure, of_one_statement, of_questions, of_statement, spanned,
};

/// Whether the service trusts the sampling decision of the sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// An authenticated service. Its decision is followed if the sampler follows parents.
    Service,
    /// A client from anywhere. It may name its trace, but not decide that the service records it.
    Anyone,
}

/// Starts spans and exports them. Clones share it. The default records nothing.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// A request whose sampling decision is made.
#[derive(Debug)]
pub struct Begun {
    position: Position,
    /// The span of the sender.
    parent: Option<SpanId>,
}

impl Traces {
    /// Starts the export to the collector of these settings. It must be called on a runtime of tokio
    /// that runs until [`Traces::end`]. The error is a sentence.
    pub fn start(settings: TraceSettings) -> Result<Self, String> {
        Ok(Self(Some(Arc::new(Recorder::start(settings)?))))
    }

    /// Decides whether a request is sampled. `None` if nothing is.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap, sender: Sender) -> Option<Begun> {
        let recorder = self.0.as_ref()?;
        let parent = headers::parent(headers);
        // The sender may have chosen the id of its trace so that the sampler would take it.
        let trusted = parent.as_ref().filter(|_| sender == Sender::Service);
        let own_id = trusted.map_or_else(|| recorder.new_trace_id(), SpanContext::trace_id);
        let is_sampled = recorder.samples(trusted, own_id);
        let recorder = (is_sampled, recorder);
        let (position, parent) = Position::of_request(own_id, parent, recorder);
        Some(Begun { position, parent })
    }

    /// Returns what became of the spans until now.
    #[must_use]
    pub fn counts(&self) -> SpanCounts {
        self.0.as_ref().map(|recorder| recorder.counts()).unwrap_or_default()
    }

    /// Exports what is recorded, for at most this long, and ends.
    pub async fn end(&self, limit: Duration) {
        if let Some(recorder) = &self.0 {
            Arc::clone(recorder).end(limit).await;
        }
    }
}

impl Begun {
    /// Returns the position that calls made for this request have.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    /// Returns the span of the request if it is sampled.
    pub fn span(
        &self,
        kind: SpanKind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Option<OpenSpan> {
        let position = self.position.sampled()?;
        Some(OpenSpan::new(position, self.parent.map(|id| (id, true)), kind, name()))
    }
}
