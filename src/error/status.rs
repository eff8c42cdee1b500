//! Turns an error into a gRPC status. Its `ErrorInfo` has the documented code, by which a caller
//! distinguishes errors.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::Error;
use crate::error::denial::TOLD;
use crate::ids::RequestId;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "cdn-activation";
/// The key of the documented HTTP status in the metadata of `ErrorInfo`.
pub const HTTP_STATUS: &str = "http_status";

/// Longest message from tonic that is returned, in bytes. It may repeat what the caller sent.
const LONGEST_TEXT: usize = 256;

/// Returns the name of a code as the gRPC specification spells it, for example `NOT_FOUND`.
#[must_use]
pub fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Returns the status of an error with another message, which says more.
#[must_use]
pub fn saying(error: &Error, text: &str, request_id: &RequestId) -> Status {
    let status = of(error, request_id, None);
    if text.is_empty() {
        return status;
    }
    let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    Status::with_error_details(error.grpc_code(), text, status.get_error_details())
}

/// Returns the status of an error. The API version selects between codes that were renamed.
#[must_use]
pub fn of(error: &Error, request_id: &RequestId, api_version: Option<&str>) -> Status {
    let mut metadata = HashMap::from([
        (HTTP_STATUS.to_owned(), error.http_status().to_string()),
        ("request_id".to_owned(), request_id.as_str().to_owned()),
    ]);
    if let Error::ForbiddenByPolicy(denial) = error {
        let told = TOLD.map(|(key, _)| key.to_owned()).into_iter().zip(denial.told(request_id));
        metadata.extend(told);
    }
    let mut details = ErrorDetails::with_error_info(error.code_in(api_version), DOMAIN, metadata);
    let violations = error.violations().iter();
    let violations: Vec<_> = violations
        .map(|wrong| FieldViolation::new(wrong.field, wrong.description.as_str()))
        .collect();
    if !violations.is_empty() {
        details.set_bad_request(violations);
    }
    if let Some(limit) = error.flow_limit() {
        details.set_retry_info(Some(limit.retry_after()));
        details.add_quota_failure_violation(limit.subject(), limit.description());
    }
    Status::with_error_details(error.grpc_code(), error.message().into_owned(), details)
}
