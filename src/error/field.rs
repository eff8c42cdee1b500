//! What is wrong with the fields of an operator request.

/// A wrong field of an operator request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field, as a path.
    pub field: &'static str,
    /// What is wrong with it.
    pub description: String,
}

/// All of them in one sentence.
pub(super) fn sentence(violations: &[FieldViolation]) -> String {
    let parts = violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description));
    parts.collect::<Vec<_>>().join("; ")
}
