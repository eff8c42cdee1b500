//! Spans of statements. A statement that answers the questions of several calls is a span of its
//! own, in a trace of its own, with a link to each sampled call.

use std::sync::{Arc, OnceLock};

use opentelemetry::trace::SpanKind;

use super::current::{Position, Sampled, with_current, within};
use super::recorder::Recorder;
use super::span::{OpenSpan, SUMMARY, child};

/// How a span names the database. The name of the system is the standard's.
const SYSTEM: (&str, &str) = ("db.system.name", "postgresql");
/// The name of the span of a statement that ends before its text is known.
const STATEMENT: &str = "statement";
const NAMESPACE: &str = "db.namespace";
/// Number of questions that a statement answers. It is not the size of a batch in the sense of the
/// standard, which is a number of operations: the questions are operands of one operation.
const QUESTIONS: &str = "activation.questions";

/// A sampled call that waits for the answer to its question.
#[derive(Debug)]
pub struct Asking {
    /// That of the wait.
    position: Position,
    /// The operation and the table of the statement that answers.
    summary: [&'static str; 2],
}

impl Asking {
    /// Returns the position of what answers this call alone.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.clone()
    }
}

/// Returns the span of a sampled call while it waits for a statement that other calls share, and
/// what the span of the statement links to.
#[must_use]
pub fn of_questions(summary: [&'static str; 2]) -> Option<(OpenSpan, Box<Asking>)> {
    let span = child(SpanKind::Internal, || summary.join(" ").into())?;
    let position = span.position();
    Some((span, Box::new(Asking { position, summary })))
}

/// Returns the span of a statement that answers these calls, if one of them is sampled.
pub fn of_statement<'a>(
    mut asking: impl Iterator<Item = &'a Asking>,
    namespace: impl FnOnce() -> Option<String>,
    questions: usize,
) -> Option<OpenSpan> {
    let first = asking.next()?;
    let recorder = &first.position.sampled.as_ref()?.recorder;
    let (trace_id, span_id) = (recorder.new_trace_id(), recorder.new_span_id());
    let sampled = Some(about_a_statement(recorder));
    let position = Position { trace_id, span_id, state: None, sampled };
    let summary = first.summary.join(" ");
    let span = OpenSpan::new(position, None, SpanKind::Client, summary.clone().into());
    let mut span = of_database(span, namespace());
    span.set(SUMMARY, summary);
    span.set(QUESTIONS, i64::try_from(questions).unwrap_or(i64::MAX));
    span.link(first.position.link());
    asking.for_each(|asking| span.link(asking.position.link()));
    Some(span)
}

/// Returns the span of a statement of the running call, if the call is sampled. It gets its name when
/// the text of the statement is known ([`OpenSpan::of_statement`]).
pub fn of_one_statement(namespace: impl FnOnce() -> Option<String>) -> Option<OpenSpan> {
    let span = child(SpanKind::Client, || STATEMENT.into())?;
    Some(of_database(span, namespace()))
}

fn of_database(mut span: OpenSpan, namespace: Option<String>) -> OpenSpan {
    span.set(SYSTEM.0, SYSTEM.1);
    if let Some(namespace) = namespace {
        span.set(NAMESPACE, namespace);
    }
    span
}

fn about_a_statement(recorder: &Arc<Recorder>) -> Arc<Sampled> {
    Arc::new(Sampled { recorder: Arc::clone(recorder), failure: Some(OnceLock::new()) })
}

/// Records, in the span of the running statement, how the statement failed: with a SQLSTATE, or
/// without an answer of the database.
pub fn note_failure(sqlstate: impl FnOnce() -> Option<String>) {
    with_current(|sampled| {
        if let Some(noted) = &sampled.failure {
            noted.get_or_init(sqlstate);
        }
    });
}

/// Runs a future within a span, if there is one. The span ends with it.
pub async fn spanned<F: Future>(span: Option<OpenSpan>, work: F) -> F::Output {
    within(span.as_ref().map(OpenSpan::position), work).await
}
