//! The error table: every error with its documented code, HTTP status, gRPC status and message.
//!
//! The codes and messages of the actions are those of docs/behaviour.md, "Opening" and "Changing
//! the charge type". Those of the gateway are in docs/protocol.md, "Error codes of the gateway".
//! gRPC callers read the code in `ErrorInfo.reason`. It is the published code, not the upper-snake
//! form that AIP-193 asks for.

mod cause;
mod field;
mod shown;
pub mod status;
pub mod texts;

use std::borrow::Cow;

use tonic::Code;

pub use self::cause::Cause;
pub use self::field::{FieldViolation, both};
use self::field::{sentence, shortened};
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
    /// A security token came with a permanent key.
    SecurityTokenMismatch,
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
    /// The key's policy does not allow the action.
    ForbiddenByPolicy,

    // gRPC callers and operators.
    /// The calling service is not authenticated.
    ServiceUnauthenticated,
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

type Text = Cow<'static, str>;

/// A row of the table.
struct Row {
    code: Text,
    http: u16,
    grpc: Code,
    message: Text,
}

fn row(code: impl Into<Text>, http: u16, grpc: Code, message: impl Into<Text>) -> Row {
    Row { code: code.into(), http, grpc, message: message.into() }
}

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

    #[rustfmt::skip] // a table is read down its columns
    fn row(&self) -> Row {
        use Code::{Aborted, AlreadyExists, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented};
        match self {
            //                                       code                                HTTP  gRPC                message
            Self::Refused(Refusal::ValueNotSupported(parameter)) => row(format!("Invalid{parameter}.ValueNotSupported"), 400, InvalidArgument, format!("The specified value of parameter \"{parameter}\" is not valid.")),
            Self::Refused(Refusal::InvalidComponent(parameter)) => row("InvalidComponent",              400, InvalidArgument,    format!("The specified value of parameter {parameter} is not valid.")),
            Self::Refused(Refusal::BidUser)                        => row("Forbidden.BidUser",             403, PermissionDenied,   "Bid user is limited to open service."),
            Self::Refused(Refusal::IntlNotAuthorized)              => row("Forbidden.Intl",                403, PermissionDenied,   "User not authorized to open Intl service."),
            Self::Refused(Refusal::AlreadyOpened(Product::Cdn))    => row("CdnService.HasOpened",          400, AlreadyExists,      "Your cdn service has opened."),
            Self::Refused(Refusal::AlreadyOpened(Product::Dcdn))   => row("DcdnService.HasOpened",         400, AlreadyExists,      "Your DCDN service has been activated."),
            Self::Refused(Refusal::NoRealNameAuthentication)       => row("NoRealNameAuthentication",      400, FailedPrecondition, "Real name authentication is needed."),
            Self::Refused(Refusal::ProfileIncomplete(Product::Cdn))  => row("FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE", 400, FailedPrecondition, "MISSING_USERPROFILE"),
            Self::Refused(Refusal::ProfileIncomplete(Product::Dcdn)) => row("IncompleteInformation",       400, FailedPrecondition, "Your information is incomplete. Complete your information before the operation."),
            Self::Refused(Refusal::InvalidPaymentMethod)           => row("FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD", 400, FailedPrecondition, "INVALID_PAY_METHOD"),
            Self::Refused(Refusal::InsufficientBalance)            => row("InsufficientBalance",           400, FailedPrecondition, "Your account does not have enough balance."),
            Self::Refused(Refusal::OrderNotCreated)                => row("LX_CREATE_ORDER_FAILED",        400, Aborted,            "Create order failed"),

            Self::Refused(Refusal::NotOpened(Product::Cdn))        => row("CdnServiceNotFound",            403, NotFound,           "Your account does not open CDN service yet."),
            Self::Refused(Refusal::NotOpened(Product::Dcdn))       => row("DcdnServiceNotFound",           403, NotFound,           "Your account does not open DCDN service yet."),
            Self::Refused(Refusal::Suspended)                      => row("OperationDenied",               403, FailedPrecondition, "Your CDN service is suspended."),
            Self::Refused(Refusal::ChangePending)                  => row("FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER", 400, FailedPrecondition, "You have an order not yet effective"),
            Self::MissingParameter(parameter) => row(format!("Missing{parameter}"),   400, InvalidArgument,    format!("{parameter} is mandatory for this action.")),
            Self::InvalidParameter(parameter) => row("InvalidParameter",              400, InvalidArgument,    format!("The specified value of parameter \"{parameter}\" is not valid.")),

            Self::Refused(Refusal::MissingParameter(parameter)) => Self::missing(*parameter).row(),
            Self::Refused(Refusal::InvalidParameter(parameter)) => Self::invalid(*parameter).row(),
            Self::Refused(Refusal::InvalidField { field, description }) => Self::field(field, *description).row(),
            Self::RequestTooLarge                => row("RequestTooLarge",               413, InvalidArgument,    "The request is too large."),
            Self::MalformedRequest               => row("MalformedRequest",              400, InvalidArgument,    "The request cannot be read as HTTP."),
            Self::RequestTimeout                 => row("RequestTimeout",                408, DeadlineExceeded,   "The request did not arrive in time."),
            Self::ActionNotFound                 => row("InvalidAction.NotFound",        404, Unimplemented,      "Specified api is not found, please check your url and method."),
            Self::InvalidVersion                 => row("InvalidVersion",                400, InvalidArgument,    "Specified parameter Version is not valid."),
            Self::UnsupportedHttpMethod          => row("UnsupportedHTTPMethod",         405, InvalidArgument,    "This http method is not supported."),
            Self::InvalidFormat                  => row("InvalidParameter.Format",       400, InvalidArgument,    "Specified parameter format is not valid."),
            Self::ContentMd5NotMatched           => row("ContentMD5NotMatched",          400, InvalidArgument,    "Specified content md5 is not matched with your request body."),
            Self::AccessKeyNotFound              => row("InvalidAccessKeyId.NotFound",   404, Unauthenticated,    "Specified access key is not found."),
            Self::AccessKeyInactive              => row("InvalidAccessKeyId.Inactive",   400, Unauthenticated,    "Specified access key is disabled."),
            Self::SecurityTokenMismatch          => row("InvalidSecurityToken.MismatchWithAccessKey", 400, Unauthenticated, "Specified SecurityToken mismatch with the AccessKey."),
            Self::TimestampFormat                => row("InvalidTimeStamp.Format",       400, Unauthenticated,    "Specified time stamp or date value is not well formatted."),
            Self::TimestampExpired               => row("InvalidTimeStamp.Expired",      400, Unauthenticated,    "Specified time stamp or date value is expired."),
            Self::InvalidSignatureMethod         => row("InvalidSignatureMethod",        400, Unauthenticated,    "Specified signature method is not valid."),
            Self::IncompleteSignature            => row("IncompleteSignature",           400, Unauthenticated,    "The request signature does not conform to Aliyun standards."),
            Self::SignatureV1Mismatch(string_to_sign) => row("SignatureDoesNotMatch", 400, Unauthenticated,    format!("Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}")),
            Self::SignatureV3Mismatch { string_to_sign, canonical_request } => row("SignatureDoesNotMatch", 400, Unauthenticated, format!("Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]")),
            Self::NonceUsed                      => row("SignatureNonceUsed",            400, Unauthenticated,    "Specified signature nonce was used already."),
            Self::ForbiddenByPolicy              => row("Forbidden.RAM",                 403, PermissionDenied,   "User not authorized to operate on the specified resource, or this API doesn't support RAM."),

            Self::ServiceUnauthenticated         => row("ServiceUnauthenticated",        401, Unauthenticated,    "The calling service is not authenticated: send its token in the metadata authorization."),
            Self::MissingAccountId               => row("MissingAccountId",              401, Unauthenticated,    "The request names no account: send its id in the metadata x-account-id."),
            Self::InvalidAccountId(_)            => row("InvalidAccountId",              400, InvalidArgument,    "The account id is not a positive 64-bit number."),
            Self::AccountNotFound                => row("AccountNotFound",               404, NotFound,           "There is no such account."),
            Self::AccountAlreadyExists           => row("AccountAlreadyExists",          409, AlreadyExists,      "The account exists already."),
            Self::UnknownAccessKey               => row("AccessKeyNotFound",             404, NotFound,           "There is no such access key."),
            Self::ChangeNotFound                 => row("ChangeNotFound",                404, NotFound,           "There is no such charge-type change."),
            Self::ChangeInForce                  => row("ChangeInForce",                 409, FailedPrecondition, "The charge-type change has taken effect."),
            Self::EtagMismatch                   => row("EtagMismatch",                  409, Aborted,            "The resource has changed since it was read: read it again."),
            Self::Refused(Refusal::TooManyLocks) => row("QuotaExceeded.OperationLock",   400, ResourceExhausted,  "Too many operation locks hold on the instance: lift one first."),
            Self::InvalidFields(violations)      => row("InvalidFields",                 400, InvalidArgument,    sentence(violations)),
            Self::MalformedMessage               => row("MalformedMessage",              400, InvalidArgument,    "The request is not a message of this method."),
            Self::UnsupportedEncoding            => row("UnsupportedEncoding",           415, Unimplemented,      "The message is compressed in a way that is not known: send gzip, or no compression."),
            Self::ServiceNotFound                => row("ServiceNotFound",               404, NotFound,           "There is no such service."),
            Self::TooManyStreams                 => row("TooManyStreams",                429, ResourceExhausted,  "Too many streams without a token are open: close some, or try later."),
            Self::CursorExpired                  => row("CursorExpired",                 410, OutOfRange,         "Events after the cursor are no longer kept: start over with an empty cursor, and read anew the state that you keep."),

            Self::Contended                      => row("ServiceUnavailable",            503, Aborted,            "The request has failed due to a temporary failure of the server."),
            Self::DeadlineExceeded               => row("DeadlineExceeded",              504, DeadlineExceeded,   "The request was not answered within its deadline."),
            Self::Draining                       => row("ServiceUnavailable",            503, Unavailable,        "The server is shutting down: connect again and go on from the last cursor."),
            Self::Unavailable(_) | Self::OutcomeUnknown(_) => row("ServiceUnavailable",  503, Unavailable,        "The request has failed due to a temporary failure of the server."),
            Self::Internal(_)                    => row("InternalError",                 500, Internal,           "The request processing has failed due to some unknown error."),
        }
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
