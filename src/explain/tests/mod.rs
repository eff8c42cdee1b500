//! Tests of the signature doctor: signers that are broken in every way, and hostile texts.

mod broken_v1;
mod broken_v3;
mod hostile;
mod signer;
mod whole;

use super::{Explanation, Request, explain, name_cause};
use crate::auth::secret::Secret;

/// Explains a text without the client's own string.
fn explained(text: &str) -> Explanation {
    explain(&Request { text: text.to_owned(), ..Request::default() })
}

/// Explains a text with the client's own string.
fn explained_with(text: &str, own: &str) -> Explanation {
    let own = Some(own.to_owned());
    explain(&Request { text: text.to_owned(), client_string_to_sign: own, ..Request::default() })
}

/// Returns the code of the candidate whose MAC is the signature.
fn named_by_mac(explanation: &Explanation, secret: &str) -> String {
    let found = name_cause(explanation, &Secret::new(secret.to_owned()));
    found.map_or_else(|| "nothing".to_owned(), |candidate| candidate.cause.code.clone())
}

/// Returns the codes of the causes that are certain.
fn codes(explanation: &Explanation) -> Vec<&str> {
    explanation.causes.iter().map(|cause| cause.code.as_str()).collect()
}
