//! Violations: what is wrong with the fields of an operator's request.

use super::Error;

/// Largest length of a description, in bytes. A description can repeat what the caller sent.
const LONGEST_DESCRIPTION: usize = 160;
/// Largest length of the sentence about all violations, in bytes. The sentence and the details must
/// fit into the metadata of a response: gRPC clients refuse more than 8 KiB.
const LONGEST_SENTENCE: usize = 400;
/// Largest number of violations in an error.
const MOST: usize = 8;

/// A wrong field of an operator's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field, as a path.
    pub field: &'static str,
    /// What is wrong with it.
    pub description: String,
}

impl FieldViolation {
    /// Returns a violation. A description that is too long is cut.
    pub(super) fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self { field, description: shortened(description.into(), LONGEST_DESCRIPTION) }
    }
}

/// Cuts a text that is longer than `most` bytes, and appends an ellipsis to it.
pub(super) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// Returns one sentence about all violations, or about the first ones if there are many.
pub(super) fn sentence(violations: &[FieldViolation]) -> String {
    let mut sentence = String::new();
    for (told, wrong) in violations.iter().enumerate() {
        let part = format!("{}: {}", wrong.field, wrong.description);
        if told > 0 && sentence.len() + part.len() > LONGEST_SENTENCE {
            return format!("{sentence}; and {} more", violations.len() - told);
        }
        sentence.push_str(if told > 0 { "; " } else { "" });
        sentence.push_str(&part);
    }
    sentence
}

/// Returns both values, or what is wrong with either: a caller learns of all its mistakes at once.
pub fn both<A, B>(first: Result<A, Error>, second: Result<B, Error>) -> Result<(A, B), Error> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second)) => Err(first.with(second)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

impl Error {
    /// Returns the error for one wrong field of an operator's request.
    pub fn field(field: &'static str, description: impl Into<String>) -> Self {
        Self::InvalidFields(vec![FieldViolation::new(field, description)])
    }

    /// Returns the error for a wrong account id in this field of an operator's request.
    #[must_use]
    pub fn account_id_field(field: &'static str) -> Self {
        Self::InvalidAccountId(vec![FieldViolation::new(field, "is not a positive number")])
    }

    /// Returns this error with the violations of another one added.
    fn with(self, other: Self) -> Self {
        use Error::{InvalidAccountId, InvalidFields};
        let joined = |first: Vec<_>, second: Vec<_>| {
            first.into_iter().chain(second).take(MOST).collect::<Vec<FieldViolation>>()
        };
        match (self, other) {
            (InvalidFields(first), InvalidFields(second)) => InvalidFields(joined(first, second)),
            (InvalidAccountId(first), InvalidFields(second) | InvalidAccountId(second))
            | (InvalidFields(first), InvalidAccountId(second)) => {
                InvalidAccountId(joined(first, second))
            }
            (first, _) => first,
        }
    }

    /// Returns what is wrong with the fields of the request.
    #[must_use]
    pub fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::InvalidFields(violations) | Self::InvalidAccountId(violations) => violations,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_violations_that_do_not_fit_are_counted() {
        let long = "ä".repeat(200);
        let one = FieldViolation::new("reason", long.as_str());
        assert_eq!(one.description, format!("{}…", "ä".repeat(80)));
        let many = vec![FieldViolation::new("reason", "x".repeat(150)); 7];
        let said = sentence(&many);
        assert!(said.len() < LONGEST_SENTENCE + 20 && said.ends_with("; and 5 more"), "{said}");
        assert_eq!(sentence(&many[..1]), format!("reason: {}", "x".repeat(150)));
    }

    #[test]
    fn both_lists_the_violations_of_either_side() {
        let field = |name| Err::<(), _>(Error::field(name, "is wrong"));
        let fields = |result: Result<((), ()), Error>| {
            let error = result.expect_err("wrong");
            let fields = error.violations().iter().map(|violation| violation.field);
            (error.code().into_owned(), fields.collect::<Vec<_>>())
        };
        let of_fields = fields(both(field("a"), field("b")));
        assert_eq!(of_fields, ("InvalidFields".to_owned(), vec!["a", "b"]));
        let no_account = Err::<(), _>(Error::account_id_field("account_id"));
        let of_account = fields(both(field("a"), no_account));
        assert_eq!(of_account, ("InvalidAccountId".to_owned(), vec!["a", "account_id"]));
        assert_eq!(fields(both(Ok(()), field("b"))).1, ["b"]);
        assert_eq!(fields(both(Err(Error::AccountNotFound), field("b"))).1, [""; 0]);
    }
}
