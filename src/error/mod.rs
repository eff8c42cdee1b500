//! The error table: every error with its documented code, HTTP status, gRPC status and message.
//!
//! The codes and messages of the actions are those of docs/behaviour.md, "Opening" and "Changing
//! the charge type". Those of the gateway are in docs/protocol.md, "Error codes of the gateway".
//! gRPC callers read the code in `ErrorInfo.reason`. It is the published code, not the upper-snake
//! form that AIP-193 asks for.

mod cause;
pub mod denial;
mod field;
mod flow_limit;
mod shown;
pub mod status;
mod table;
pub mod texts;

use std::borrow::Cow;

use tonic::Code;

pub use self::cause::Cause;
pub use self::denial::Denial;
use self::field::shortened;
pub use self::field::{FieldViolation, both};
pub use self::flow_limit::FlowLimit;
pub use self::shown::Shown;
use crate::domain::{Product, Refusal};

/// Every outcome of a request other than its reply.
#[derive(Clone, Debug)]
pub enum Error {
    /// A decision refuses the request.
    Refused(Refusal),
    /// The parameter of this documented name is absent or empty.
    MissingParameter(Cow<'static, str>),
    /// The value of the parameter of this name cannot be used, or the parameter occurs twice.
    InvalidParameter(Cow<'static, str>),

    // The gateway (docs/protocol.md, "Error codes of the gateway").
    /// The URI, a header, the query or the body is larger than its limit.
    RequestTooLarge,
    /// The request cannot be read as HTTP.
    MalformedRequest,
    /// The request did not arrive in time.
    RequestTimeout,
    /// There is no such action in this version, or no such path.
    ActionNotFound,
    /// There is no such API version.
    InvalidVersion,
    /// The HTTP method is neither GET nor POST.
    UnsupportedHttpMethod,
    /// `Format` is neither JSON nor XML.
    InvalidFormat,
    /// `Content-MD5` is not that of the body.
    ContentMd5NotMatched,
    /// There is no such access key.
    AccessKeyNotFound,
    /// The access key is disabled.
    AccessKeyInactive,
    /// A security token came with an access key, or with another temporary credential than its own.
    SecurityTokenMismatch,
    /// The security token is none of this service.
    SecurityTokenMalformed,
    /// The temporary credential has expired.
    SecurityTokenExpired,
    /// The timestamp is not `yyyy-MM-ddTHH:mm:ssZ`.
    TimestampFormat,
    /// The timestamp is too far from the clock.
    TimestampExpired,
    /// The signature method is not supported.
    InvalidSignatureMethod,
    /// The signature cannot be read, or does not cover everything that must be signed.
    IncompleteSignature,
    /// A V1 signature does not match. The string that the server signs is shown, for clients to
    /// compare.
    SignatureV1Mismatch(Shown),
    /// A V3 signature does not match.
    SignatureV3Mismatch {
        /// The string that the server signs.
        string_to_sign: Shown,
        /// The canonical request from which it was made.
        canonical_request: Shown,
    },
    /// The nonce was used before.
    NonceUsed,
    /// A policy does not allow the action.
    ForbiddenByPolicy(Box<Denial>),
    /// The account, or the calling service, calls too often or too much at once.
    ThrottledUser(FlowLimit),
    /// The address sent too many requests with unknown access keys.
    Throttled(FlowLimit),

    // gRPC callers and operators.
    /// The calling service is not authenticated.
    ServiceUnauthenticated,
    /// The calling service is not granted the method.
    ServiceForbidden,
    /// The calling service is not granted the account. To a service that is granted some accounts
    /// only, an account or access key that does not exist is this error, too.
    AccountNotGranted,
    /// The request names no account.
    MissingAccountId,
    /// The account id is not a positive 64-bit number: in the metadata, or in a field of an
    /// operator's request, with the other wrong fields.
    InvalidAccountId(Vec<FieldViolation>),
    /// There is no such account.
    AccountNotFound,
    /// The account exists already.
    AccountAlreadyExists,
    /// There is no such access key (operator).
    UnknownAccessKey,
    /// The account has the largest number of access keys.
    TooManyAccessKeys,
    /// There is no such charge-type change.
    ChangeNotFound,
    /// The charge-type change has taken effect.
    ChangeInForce,
    /// The resource has changed since it was read.
    EtagMismatch,
    /// Fields of an operator's request are wrong.
    InvalidFields(Vec<FieldViolation>),
    /// The request is not a message of the method.
    MalformedMessage,
    /// The compression of the message is not supported.
    UnsupportedEncoding,
    /// The largest number of streams without a token is open.
    TooManyStreams,
    /// There is no service of this name whose health is known.
    ServiceNotFound,
    /// Events after the cursor are no longer kept, or the cursor belongs to another log.
    CursorExpired,

    // Faults of the service or the database.
    /// Other requests wrote the same rows repeatedly. The same request may succeed later.
    Contended,
    /// The request was not answered within its deadline.
    DeadlineExceeded,
    /// The server shuts down and ends a stream.
    Draining,
    /// The database cannot be reached or is too busy; nothing was written.
    Unavailable(Cause),
    /// The connection was lost during a write. It is unknown whether the write happened.
    OutcomeUnknown(Cause),
    /// A fault.
    Internal(Cause),
}

/// Largest length of a parameter's name in a message, in bytes. The caller chooses the name.
const LONGEST_NAME: usize = 256;

impl From<Refusal> for Error {
    /// A refusal about a parameter or a field is the same error as that of any other check of it.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MissingParameter(parameter) => Self::missing(parameter),
            Refusal::InvalidParameter(parameter) => Self::invalid(parameter),
            Refusal::InvalidField { field, description } => Self::field(field, description),
            refusal => Self::Refused(refusal),
        }
    }
}

impl Error {
    /// Returns the error for a parameter that is absent or empty.
    pub fn missing(parameter: impl Into<Cow<'static, str>>) -> Self {
        Self::MissingParameter(parameter.into())
    }

    /// Returns the error for a parameter whose value cannot be used.
    pub fn invalid(parameter: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidParameter(match parameter.into() {
            Cow::Borrowed(name) => name.into(),
            Cow::Owned(name) => shortened(name, LONGEST_NAME).into(),
        })
    }

    /// Returns the documented code.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        self.row().code
    }

    /// Returns the documented code in an API version. In 2014-11-11, `OperationDenied` is the code
    /// for a product that is not opened.
    #[must_use]
    pub fn code_in(&self, api_version: Option<&str>) -> Cow<'static, str> {
        match (self, api_version) {
            (Self::Refused(Refusal::NotOpened(Product::Cdn)), Some("2014-11-11")) => {
                "OperationDenied".into()
            }
            _ => self.code(),
        }
    }

    /// Returns the documented message. It does not contain the cause.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        self.row().message
    }

    /// Returns the limit that the request has reached.
    #[must_use]
    pub fn flow_limit(&self) -> Option<&FlowLimit> {
        match self {
            Self::ThrottledUser(limit) | Self::Throttled(limit) => Some(limit),
            _ => None,
        }
    }

    /// Returns the documented HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().http
    }

    /// Returns the gRPC status.
    #[must_use]
    pub fn grpc_code(&self) -> Code {
        self.row().grpc
    }

    /// Returns whether the error is a fault, which is the service's or the database's and is logged
    /// as an error. A refusal is the caller's.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        self.http_status() >= 500
    }
}
