//! An error as a gRPC status, with what a caller needs to tell it from others: `ErrorInfo` with the
//! documented code.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::context::RequestId;
use crate::error::Error;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "cdn-activation";
/// The metadata of `ErrorInfo` with the documented HTTP status.
pub const HTTP_STATUS: &str = "http_status";

/// The status of an error. The API version matters to codes that were renamed with a new one.
#[must_use]
pub fn of(error: &Error, request_id: &RequestId, api_version: Option<&str>) -> Status {
    let metadata = HashMap::from([
        (HTTP_STATUS.to_owned(), error.http_status().to_string()),
        ("request_id".to_owned(), request_id.as_str().to_owned()),
    ]);
    let mut details = ErrorDetails::with_error_info(error.code_in(api_version), DOMAIN, metadata);
    if let Error::InvalidFields(violations) = error {
        let violations = violations
            .iter()
            .map(|wrong| FieldViolation::new(wrong.field, wrong.description.as_str()));
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    Status::with_error_details(error.grpc_code(), error.message().into_owned(), details)
}
