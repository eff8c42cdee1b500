//! The rows of the error table.

use std::borrow::Cow;

use tonic::Code;

use super::Error;
use super::field::sentence;
use crate::domain::{Product, Refusal};

type Text = Cow<'static, str>;

/// A row of the table.
pub(super) struct Row {
    pub code: Text,
    pub http: u16,
    pub grpc: Code,
    pub message: Text,
}

fn row(code: impl Into<Text>, http: u16, grpc: Code, message: impl Into<Text>) -> Row {
    Row { code: code.into(), http, grpc, message: message.into() }
}

impl Error {
    /// Returns whether a refusal is about who the caller is, and not about what it asks for: it is
    /// not authenticated, has no permission, or has used up its quota.
    #[must_use]
    pub fn is_about_the_caller(&self) -> bool {
        use Code::{PermissionDenied, ResourceExhausted, Unauthenticated};
        matches!(self.grpc_code(), Unauthenticated | PermissionDenied | ResourceExhausted)
    }

    #[rustfmt::skip] // a table is read down its columns
    pub(super) fn row(&self) -> Row {
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
            Self::SecurityTokenMalformed         => row("InvalidSecurityToken.Malformed", 400, Unauthenticated,   "Specified SecurityToken is malformed."),
            Self::SecurityTokenExpired           => row("InvalidSecurityToken.Expired",  400, Unauthenticated,    "Specified SecurityToken is expired."),
            Self::TimestampFormat                => row("InvalidTimeStamp.Format",       400, Unauthenticated,    "Specified time stamp or date value is not well formatted."),
            Self::TimestampExpired               => row("InvalidTimeStamp.Expired",      400, Unauthenticated,    "Specified time stamp or date value is expired."),
            Self::InvalidSignatureMethod         => row("InvalidSignatureMethod",        400, Unauthenticated,    "Specified signature method is not valid."),
            Self::IncompleteSignature            => row("IncompleteSignature",           400, Unauthenticated,    "The request signature does not conform to Aliyun standards."),
            Self::SignatureV1Mismatch(string_to_sign) => row("SignatureDoesNotMatch", 400, Unauthenticated,    format!("Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}")),
            Self::SignatureV3Mismatch { string_to_sign, canonical_request } => row("SignatureDoesNotMatch", 400, Unauthenticated, format!("Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]")),
            Self::NonceUsed                      => row("SignatureNonceUsed",            400, Unauthenticated,    "Specified signature nonce was used already."),
            Self::ForbiddenByPolicy(_)           => row("Forbidden.RAM",                 403, PermissionDenied,   "User not authorized to operate on the specified resource, or this API doesn't support RAM."),
            Self::ThrottledUser(_)               => row("Throttling.User",               400, ResourceExhausted,  "Request was denied due to user flow control."),
            Self::Throttled(_)                   => row("Throttling",                    400, ResourceExhausted,  "Request was denied due to request throttling."),

            Self::ServiceUnauthenticated         => row("ServiceUnauthenticated",        401, Unauthenticated,    "The calling service is not authenticated: send its token in the metadata authorization."),
            Self::ServiceForbidden               => row("ServiceForbidden",              403, PermissionDenied,   "The calling service is not granted this method."),
            Self::AccountNotGranted              => row("AccountNotGranted",             403, PermissionDenied,   "The calling service is granted no such account."),
            Self::MissingAccountId               => row("MissingAccountId",              401, Unauthenticated,    "The request names no account: send its id in the metadata x-account-id."),
            Self::InvalidAccountId(_)            => row("InvalidAccountId",              400, InvalidArgument,    "The account id is not a positive 64-bit number."),
            Self::AccountNotFound                => row("AccountNotFound",               404, NotFound,           "There is no such account."),
            Self::AccountAlreadyExists           => row("AccountAlreadyExists",          409, AlreadyExists,      "The account exists already."),
            Self::UnknownAccessKey               => row("AccessKeyNotFound",             404, NotFound,           "There is no such access key."),
            Self::TooManyAccessKeys              => row("QuotaExceeded.AccessKey",       400, ResourceExhausted,  "The account has too many access keys: delete one first."),
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
}
