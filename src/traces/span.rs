//! A span: what is recorded of a part of a sampled call. It is exported when it is dropped.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::trace::{Link, SpanId, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::current::{Position, Sampled, current};
use crate::clock::time_of_span;

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
    /// `None` while it is dropped.
    data: Option<SpanData>,
}

impl OpenSpan {
    /// Creates the span at a position. The parent is its id, and whether it is in another process.
    pub(super) fn new(
        position: Position,
        parent: Option<(SpanId, bool)>,
        kind: SpanKind,
        name: Cow<'static, str>,
    ) -> Self {
        let (parent_span_id, parent_span_is_remote) = parent.unwrap_or((SpanId::INVALID, false));
        let sampled = position.sampled.as_ref().expect("only a sampled call has spans");
        let start_time = time_of_span();
        let data = SpanData {
            span_context: position.context(),
            parent_span_id,
            parent_span_is_remote,
            span_kind: kind,
            name,
            start_time,
            end_time: start_time,
            attributes: Vec::with_capacity(8),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: sampled.recorder.scope(),
        };
        Self(Box::new(SpanState { position, started: Instant::now(), data: Some(data) }))
    }

    /// Returns the position of what happens in this span.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position.clone()
    }

    /// Adds a word to the name.
    pub fn add_to_name(&mut self, word: &str) {
        let name = self.data().name.to_mut();
        name.push(' ');
        name.push_str(word);
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.data().attributes.push(KeyValue::new(key, value));
    }

    /// Records that what the span is about failed with this code.
    pub fn fail(&mut self, code: impl Into<Value>) {
        self.set(ERROR_TYPE, code);
        self.data().status = Status::error("");
    }

    /// Records what a statement did, and whether it failed: with this SQLSTATE, or without an answer
    /// of the database.
    pub fn of_statement(&mut self, summary: Option<String>, failure: Option<Option<String>>) {
        if let Some(summary) = summary {
            self.set(SUMMARY, summary.clone());
            self.data().name = summary.into();
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

    fn data(&mut self) -> &mut SpanData {
        self.0.data.as_mut().expect("it is there until the span is dropped")
    }

    pub(super) fn link(&mut self, to: Link) {
        self.data().links.links.push(to);
    }
}

/// Returns a span within the span of the running call, if the call is sampled.
pub fn child(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Option<OpenSpan> {
    let Position { trace_id, span_id: parent, state, sampled } = current()?;
    let recorder = Arc::clone(&sampled?.recorder);
    let span_id = recorder.new_span_id();
    let sampled = Some(Arc::new(Sampled { recorder, failure: None }));
    let position = Position { trace_id, span_id, state, sampled };
    Some(OpenSpan::new(position, Some((parent, false)), kind, name()))
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Some(sampled) = self.0.position.sampled.clone() else { return };
        if let Some(failure) = sampled.failure.as_ref().and_then(|failure| failure.get()) {
            self.fail_statement(failure.clone());
        }
        if let Some(mut data) = self.0.data.take() {
            data.end_time = data.start_time + self.0.started.elapsed();
            sampled.recorder.record(data);
        }
    }
}
