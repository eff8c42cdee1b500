//! A span: what is recorded of a part of a sampled call. It is exported when it is dropped.

use std::time::{Duration, Instant};

use super::current::{Position, current};
use super::ids::{Random, SpanId};
use super::otlp::{
    Attribute, AttributeValue, Link, STATUS_ERROR, SpanKind, SpanMessage, SpanStatus, flags,
};
use crate::clock::unix_time;

const ERROR_TYPE: &str = "error.type";
/// What a statement did.
pub(super) const SUMMARY: &str = "db.query.summary";
/// How a statement failed that the database did not answer.
const NOT_ANSWERED: &str = "not_answered";
const SQLSTATE: &str = "db.response.status_code";

/// A span of a sampled call. It ends, and is exported, when it is dropped.
#[derive(Debug)]
pub struct OpenSpan(Box<SpanState>); // boxed: a call that is not sampled has room for a pointer only

#[derive(Debug)]
struct SpanState {
    position: Position,
    started: Instant,
    message: SpanMessage,
}

impl OpenSpan {
    /// Creates the span at a position. The parent is its id, and whether it is in another process.
    pub(super) fn new(
        position: Position,
        parent: Option<(SpanId, bool)>,
        kind: SpanKind,
        name: String,
    ) -> Self {
        let (id, is_remote) = parent.unzip();
        let message = SpanMessage {
            trace_id: position.trace_id.bytes(),
            span_id: position.span_id.bytes(),
            trace_state: position.trace_state(),
            parent_span_id: id.map(SpanId::bytes).unwrap_or_default(),
            name,
            kind: kind.into(),
            start_time_unix_nano: nanoseconds(unix_time()),
            attributes: Vec::with_capacity(8),
            flags: flags(is_remote.unwrap_or(false)),
            ..SpanMessage::default()
        };
        Self(Box::new(SpanState { position, started: Instant::now(), message }))
    }

    /// Returns the position of what happens in this span.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position.clone()
    }

    /// Adds a word to the name.
    pub fn add_to_name(&mut self, word: &str) {
        self.0.message.name += " ";
        self.0.message.name += word;
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<AttributeValue>) {
        self.0.message.attributes.push(Attribute::new(key, value));
    }

    /// Records that what the span is about failed with this code.
    pub fn fail(&mut self, code: impl Into<AttributeValue>) {
        self.set(ERROR_TYPE, code);
        self.0.message.status = Some(SpanStatus { code: STATUS_ERROR });
    }

    /// Records what a statement did, and whether it failed: with this SQLSTATE, or without an answer
    /// of the database.
    pub fn of_statement(&mut self, summary: Option<String>, failure: Option<Option<String>>) {
        if let Some(summary) = summary {
            self.set(SUMMARY, summary.clone());
            self.0.message.name = summary;
        }
        if let Some(sqlstate) = failure {
            self.fail_statement(sqlstate);
        }
    }

    fn fail_statement(&mut self, sqlstate: Option<String>) {
        if let Some(sqlstate) = &sqlstate {
            self.set(SQLSTATE, sqlstate.clone());
        }
        self.fail(sqlstate.unwrap_or_else(|| NOT_ANSWERED.to_owned()));
    }

    pub(super) fn link(&mut self, to: Link) {
        self.0.message.links.push(to);
    }
}

/// Returns a span within the span of the running call, if the call is sampled.
pub fn child(kind: SpanKind, name: impl FnOnce() -> String) -> Option<OpenSpan> {
    let parent = current()?;
    let (id, recorder) = (parent.span_id, parent.sampled.as_ref()?.recorder.clone());
    let Position { trace_id, state, .. } = parent;
    let position = Position::new(trace_id, Random::new().span_id(), state, Some(recorder));
    Some(OpenSpan::new(position, Some((id, false)), kind, name()))
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Some(sampled) = self.0.position.sampled.clone() else { return };
        if let Some(failure) = sampled.failure.as_ref().and_then(|failure| failure.get()) {
            self.fail_statement(failure.clone());
        }
        let took = nanoseconds(self.0.started.elapsed());
        let mut message = std::mem::take(&mut self.0.message);
        message.end_time_unix_nano = message.start_time_unix_nano.saturating_add(took);
        sampled.recorder.record(message);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
