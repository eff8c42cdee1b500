//! The documented refusals of the actions on both wires: the rows of the products' tables that more
//! than one test expects.

use tonic::Code;

use super::wires::Refusal;

const fn refusal(http: u16, code: &'static str, message: &'static str, grpc: Code) -> Refusal {
    Refusal { http, code, message, grpc }
}

/// The account is a bid user.
pub const BID_USER: Refusal = refusal(
    403,
    "Forbidden.BidUser",
    "Bid user is limited to open service.",
    Code::PermissionDenied,
);
/// The account belongs to the international site and is not allowed to open there.
pub const INTL: Refusal = refusal(
    403,
    "Forbidden.Intl",
    "User not authorized to open Intl service.",
    Code::PermissionDenied,
);
/// CDN has been opened already.
pub const CDN_HAS_OPENED: Refusal =
    refusal(400, "CdnService.HasOpened", "Your cdn service has opened.", Code::AlreadyExists);
/// DCDN has been opened already.
pub const DCDN_HAS_OPENED: Refusal = refusal(
    400,
    "DcdnService.HasOpened",
    "Your DCDN service has been activated.",
    Code::AlreadyExists,
);
/// Real-name authentication is missing.
pub const NO_REAL_NAME: Refusal = refusal(
    400,
    "NoRealNameAuthentication",
    "Real name authentication is needed.",
    Code::FailedPrecondition,
);
/// The user profile is incomplete, with the message of CDN.
pub const PROFILE: Refusal = refusal(
    400,
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE",
    "MISSING_USERPROFILE",
    Code::FailedPrecondition,
);
/// The user profile is incomplete, with the message of DCDN.
pub const INCOMPLETE_INFORMATION: Refusal = refusal(
    400,
    "IncompleteInformation",
    "Your information is incomplete. Complete your information before the operation.",
    Code::FailedPrecondition,
);
/// There is no valid payment method.
pub const PAYMENT_METHOD: Refusal = refusal(
    400,
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD",
    "INVALID_PAY_METHOD",
    Code::FailedPrecondition,
);
/// The balance is below the minimum, or payment is overdue.
pub const BALANCE: Refusal = refusal(
    400,
    "InsufficientBalance",
    "Your account does not have enough balance.",
    Code::FailedPrecondition,
);
/// The order could not be created.
pub const ORDER: Refusal =
    refusal(400, "LX_CREATE_ORDER_FAILED", "Create order failed", Code::Aborted);
/// CDN has not been opened.
pub const CDN_NOT_OPENED: Refusal = refusal(
    403,
    "CdnServiceNotFound",
    "Your account does not open CDN service yet.",
    Code::NotFound,
);
/// DCDN has not been opened.
pub const DCDN_NOT_OPENED: Refusal = refusal(
    403,
    "DcdnServiceNotFound",
    "Your account does not open DCDN service yet.",
    Code::NotFound,
);
/// The service is suspended.
pub const SUSPENDED: Refusal =
    refusal(403, "OperationDenied", "Your CDN service is suspended.", Code::FailedPrecondition);
/// Another change has not taken effect yet.
pub const CHANGE_PENDING: Refusal = refusal(
    400,
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER",
    "You have an order not yet effective",
    Code::FailedPrecondition,
);
/// The service cannot answer now.
pub const UNAVAILABLE: Refusal = refusal(
    503,
    "ServiceUnavailable",
    "The request has failed due to a temporary failure of the server.",
    Code::Unavailable,
);

/// A value with which `OpenCdnService` cannot open.
pub const VALUE: Refusal = refusal(
    400,
    "InvalidInternetChargeType.ValueNotSupported",
    "The specified value of parameter \"InternetChargeType\" is not valid.",
    Code::InvalidArgument,
);

/// A parameter with an invalid value; the message names the parameter.
pub const fn invalid_parameter(message: &'static str) -> Refusal {
    refusal(400, "InvalidParameter", message, Code::InvalidArgument)
}

/// A parameter that is absent or empty.
pub const fn missing(code: &'static str, message: &'static str) -> Refusal {
    refusal(400, code, message, Code::InvalidArgument)
}

/// A value with which `OpenDcdnService` cannot open; the message names the parameter.
pub const fn invalid_component(message: &'static str) -> Refusal {
    refusal(400, "InvalidComponent", message, Code::InvalidArgument)
}
