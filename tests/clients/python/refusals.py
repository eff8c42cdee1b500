"""Every refusal that the scenarios expect: code, HTTP status, message and gRPC status as documented.

They are written from the documentation and not from the server's own table, so that a difference is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from outcome import Outcome


@dataclass(frozen=True)
class Refusal:
    """A documented refusal. The gRPC status is None if the refusal cannot occur over gRPC."""

    code: str
    status: int
    message: str | re.Pattern[str]
    grpc: str | None = None

    def differs(self, outcome: Outcome) -> str | None:
        """Returns the difference between an outcome and this refusal, if there is one."""
        if outcome.ok:
            return "it was a success"
        if outcome.code != self.code:
            return f"the code is {outcome.code!r}"
        if outcome.status is not None and outcome.status != self.status:
            return f"the HTTP status is {outcome.status}"
        if outcome.status is None and outcome.grpc:
            return "ErrorInfo has no http_status"
        if outcome.grpc is not None and outcome.grpc != self.grpc:
            return f"the gRPC status is {outcome.grpc}"
        matches = (
            self.message == outcome.message
            if isinstance(self.message, str)
            else self.message.fullmatch(outcome.message or "")
        )
        return None if matches else f"the message is {outcome.message!r}"

    def __str__(self) -> str:
        text = self.message if isinstance(self.message, str) else f"/{self.message.pattern}/"
        return f"refusal {self.code!r} {text!r} status={self.status} grpc={self.grpc}"


def missing(parameter: str) -> Refusal:
    """A parameter is absent or empty."""
    return Refusal(f"Missing{parameter}", 400, f"{parameter} is mandatory for this action.", "INVALID_ARGUMENT")


def invalid(parameter: str) -> Refusal:
    """The value of a parameter is invalid."""
    return Refusal(
        "InvalidParameter", 400, f'The specified value of parameter "{parameter}" is not valid.', "INVALID_ARGUMENT"
    )


def invalid_component(parameter: str) -> Refusal:
    """The refusal of DCDN for a charge type that cannot be opened with. The page names no parameter here."""
    return Refusal(
        "InvalidComponent", 400, f"The specified value of parameter {parameter} is not valid.", "INVALID_ARGUMENT"
    )


CDN_NOT_OPEN_TEXT = "Your account does not open CDN service yet."
CDN_NOT_OPEN = Refusal("CdnServiceNotFound", 403, CDN_NOT_OPEN_TEXT, "NOT_FOUND")
CDN_NOT_OPEN_2014 = Refusal("OperationDenied", 403, CDN_NOT_OPEN_TEXT)
DCDN_NOT_OPEN = Refusal("DcdnServiceNotFound", 403, "Your account does not open DCDN service yet.", "NOT_FOUND")
CDN_HAS_OPENED = Refusal("CdnService.HasOpened", 400, "Your cdn service has opened.", "ALREADY_EXISTS")
DCDN_HAS_OPENED = Refusal("DcdnService.HasOpened", 400, "Your DCDN service has been activated.", "ALREADY_EXISTS")
VALUE_NOT_SUPPORTED = Refusal(
    "InvalidInternetChargeType.ValueNotSupported",
    400,
    'The specified value of parameter "InternetChargeType" is not valid.',
    "INVALID_ARGUMENT",
)
BALANCE = Refusal("InsufficientBalance", 400, "Your account does not have enough balance.", "FAILED_PRECONDITION")
SUSPENDED = Refusal("OperationDenied", 403, "Your CDN service is suspended.", "FAILED_PRECONDITION")
HAS_ORDER = Refusal(
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER", 400, "You have an order not yet effective", "FAILED_PRECONDITION"
)

PAY_METHOD = Refusal(
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD", 400, "INVALID_PAY_METHOD", "FAILED_PRECONDITION"
)
PROFILE = Refusal(
    "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE", 400, "MISSING_USERPROFILE", "FAILED_PRECONDITION"
)
DCDN_PROFILE = Refusal(
    "IncompleteInformation",
    400,
    "Your information is incomplete. Complete your information before the operation.",
    "FAILED_PRECONDITION",
)
BID = Refusal("Forbidden.BidUser", 403, "Bid user is limited to open service.", "PERMISSION_DENIED")
INTL = Refusal("Forbidden.Intl", 403, "User not authorized to open Intl service.", "PERMISSION_DENIED")
NO_NAME = Refusal("NoRealNameAuthentication", 400, "Real name authentication is needed.", "FAILED_PRECONDITION")
NO_ORDER = Refusal("LX_CREATE_ORDER_FAILED", 400, "Create order failed", "ABORTED")
# The opening table, one row per demo account: role, refusal of CDN, refusal of DCDN.
OPENING: list[tuple[str, Refusal, Refusal]] = [
    ("bid", BID, BID),
    ("intl", INTL, INTL),
    ("opened", CDN_HAS_OPENED, DCDN_HAS_OPENED),
    ("noname", NO_NAME, NO_NAME),
    ("noprofile", PROFILE, DCDN_PROFILE),
    ("nopay", PAY_METHOD, PAY_METHOD),
    ("poor", BALANCE, BALANCE),
    ("noorder", NO_ORDER, NO_ORDER),
]

# The gateway.
NO_ACTION = Refusal("InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method.")
NO_VERSION = Refusal("InvalidVersion", 400, "Specified parameter Version is not valid.")
NO_KEY = Refusal("InvalidAccessKeyId.NotFound", 404, "Specified access key is not found.")
KEY_DISABLED = Refusal("InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled.")
FORBIDDEN = Refusal(
    "Forbidden.RAM", 403, "User not authorized to operate on the specified resource, or this API doesn't support RAM."
)
TOKEN_MISMATCH = Refusal(
    "InvalidSecurityToken.MismatchWithAccessKey", 400, "Specified SecurityToken mismatch with the AccessKey."
)
TOKEN_MISSING = Refusal("MissingSecurityToken", 400, "SecurityToken is mandatory for this action.")
TOKEN_MALFORMED = Refusal("InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed.")
WRONG_SECRET = {
    "V1": Refusal(
        "SignatureDoesNotMatch",
        400,
        re.compile(
            r"Specified signature is not matched with our calculation\. server string to sign is:(GET|POST)&%2F&\S+"
        ),
    ),
    "V3": Refusal(
        "SignatureDoesNotMatch",
        400,
        re.compile(
            r"Specified signature does not match our calculation\. "
            r"server StringToSign is \[ACS3-HMAC-SHA256\n[0-9a-f]{64}\] server CanonicalRequest is \[.+\]",
            re.DOTALL,
        ),
    ),
}
WRONG_SECRET_DETECTED = Refusal(
    "InvalidAccessKeySecret",
    400,
    "The AccessKeySecret is incorrect. Please check your AccessKeyId and AccessKeySecret.",
)
NONCE_USED = Refusal("SignatureNonceUsed", 400, "Specified signature nonce was used already.")
TIME_EXPIRED = Refusal("InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.")
TIME_FORMAT = Refusal("InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted.")
NO_METHOD = Refusal("UnsupportedHTTPMethod", 405, "This http method is not supported.")
NO_FORMAT = Refusal("InvalidParameter.Format", 400, "Specified parameter format is not valid.")
NO_SIGNATURE_METHOD = Refusal("InvalidSignatureMethod", 400, "Specified signature method is not valid.")
MD5_DIFFERS = Refusal("ContentMD5NotMatched", 400, "Specified content md5 is not matched with your request body.")

# Refusals of gRPC. Messages that no page defines are not compared.
ANY = re.compile(r".+", re.DOTALL)
UNAUTHENTICATED = Refusal("ServiceUnauthenticated", 401, ANY, "UNAUTHENTICATED")
NO_ACCOUNT_ID = Refusal("MissingAccountId", 401, ANY, "UNAUTHENTICATED")
BAD_ACCOUNT_ID = Refusal("InvalidAccountId", 400, ANY, "INVALID_ARGUMENT")
NO_ACCOUNT = Refusal("AccountNotFound", 404, ANY, "NOT_FOUND")
ACCOUNT_EXISTS = Refusal("AccountAlreadyExists", 409, ANY, "ALREADY_EXISTS")
ETAG_DIFFERS = Refusal("EtagMismatch", 409, ANY, "ABORTED")
INVALID_FIELDS = Refusal("InvalidFields", 400, ANY, "INVALID_ARGUMENT")
CHANGE_IN_FORCE = Refusal("ChangeInForce", 409, ANY, "FAILED_PRECONDITION")
KEY_GONE = Refusal("AccessKeyNotFound", 404, ANY, "NOT_FOUND")
