//! The refusals of the gateway, exactly as clients match them (docs/protocol.md, "Error codes of
//! the gateway"), and the comparison of a whole reply with one, in either format. They are repeated
//! here on purpose: nothing reads the server's own table.

use std::borrow::Cow;

use super::rest::Reply;

/// A documented refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The documented code.
    pub code: Cow<'static, str>,
    /// The documented message.
    pub message: Cow<'static, str>,
}

/// The format of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

const fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code: Cow::Borrowed(code), message: Cow::Borrowed(message) }
}

/// The API version does not exist.
pub const INVALID_VERSION: Refusal =
    refusal(400, "InvalidVersion", "Specified parameter Version is not valid.");
/// The action does not exist in this version, or the path does not exist.
pub const ACTION_NOT_FOUND: Refusal = refusal(
    404,
    "InvalidAction.NotFound",
    "Specified api is not found, please check your url and method.",
);
/// The access key does not exist.
pub const KEY_NOT_FOUND: Refusal =
    refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.");
/// The access key is disabled.
pub const KEY_INACTIVE: Refusal =
    refusal(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.");
/// A security token was sent with an access key, or with another credential than its own.
pub const TOKEN_MISMATCH: Refusal = refusal(
    400,
    "InvalidSecurityToken.MismatchWithAccessKey",
    "Specified SecurityToken mismatch with the AccessKey.",
);
/// The security token is none of the service.
pub const TOKEN_MALFORMED: Refusal =
    refusal(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.");
/// The temporary credential has expired.
pub const TOKEN_EXPIRED: Refusal =
    refusal(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.");
/// The timestamp has the wrong format.
pub const TIMESTAMP_FORMAT: Refusal = refusal(
    400,
    "InvalidTimeStamp.Format",
    "Specified time stamp or date value is not well formatted.",
);
/// The timestamp is too far from the clock.
pub const TIMESTAMP_EXPIRED: Refusal =
    refusal(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.");
/// The signature method is not supported.
pub const SIGNATURE_METHOD: Refusal =
    refusal(400, "InvalidSignatureMethod", "Specified signature method is not valid.");
/// The signature cannot be parsed, or does not cover what it must.
pub const INCOMPLETE_SIGNATURE: Refusal = refusal(
    400,
    "IncompleteSignature",
    "The request signature does not conform to Aliyun standards.",
);
/// The nonce was used before.
pub const NONCE_USED: Refusal =
    refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.");
/// The key's policy does not allow the action.
pub const FORBIDDEN: Refusal = refusal(
    403,
    "Forbidden.RAM",
    "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
);
/// `Format` is neither JSON nor XML.
pub const INVALID_FORMAT: Refusal =
    refusal(400, "InvalidParameter.Format", "Specified parameter format is not valid.");
/// `Content-MD5` does not match the body.
pub const CONTENT_MD5: Refusal = refusal(
    400,
    "ContentMD5NotMatched",
    "Specified content md5 is not matched with your request body.",
);
/// The method is neither GET nor POST.
pub const HTTP_METHOD: Refusal =
    refusal(405, "UnsupportedHTTPMethod", "This http method is not supported.");
/// The URI, the headers or the body are larger than the limit.
pub const TOO_LARGE: Refusal = refusal(413, "RequestTooLarge", "The request is too large.");
/// The body did not arrive in time.
pub const TOO_SLOW: Refusal = refusal(408, "RequestTimeout", "The request did not arrive in time.");
/// The product has been opened already.
pub const HAS_OPENED: Refusal =
    refusal(400, "CdnService.HasOpened", "Your cdn service has opened.");

/// A parameter is absent or empty.
pub fn missing(parameter: &str) -> Refusal {
    Refusal {
        status: 400,
        code: format!("Missing{parameter}").into(),
        message: format!("{parameter} is mandatory for this action.").into(),
    }
}

/// The value of a parameter is invalid.
pub fn invalid(parameter: &str) -> Refusal {
    Refusal {
        status: 400,
        code: "InvalidParameter".into(),
        message: format!("The specified value of parameter \"{parameter}\" is not valid.").into(),
    }
}

/// A V1 signature does not match the server's. Clients cut the text at its only colon and compare
/// the rest with the string that they signed.
pub fn signature_v1_does_not_match(string_to_sign: &str) -> Refusal {
    let lead_in =
        "Specified signature is not matched with our calculation. server string to sign is:";
    Refusal {
        status: 400,
        code: "SignatureDoesNotMatch".into(),
        message: format!("{lead_in}{string_to_sign}").into(),
    }
}

/// A V3 signature does not match the server's.
pub fn signature_v3_does_not_match(string_to_sign: &str, canonical_request: &str) -> Refusal {
    let text = format!(
        "Specified signature does not match our calculation. \
         server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]"
    );
    Refusal { status: 400, code: "SignatureDoesNotMatch".into(), message: text.into() }
}

/// Escapes a text for XML.
pub fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Format {
    /// Returns the exact content type, which clients compare.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

impl Refusal {
    /// Returns the whole body, with a placeholder as the request id.
    pub fn body(&self, format: Format, host_id: &str) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        match format {
            Format::Json => format!(
                r#"{{"RequestId":"REQUEST-ID","HostId":{},"Code":{},"Message":{}}}"#,
                text(host_id),
                text(&self.code),
                text(&self.message),
            ),
            Format::Xml => format!(
                "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId>\
                 <HostId>{}</HostId><Code>{}</Code><Message>{}</Message></Error>",
                xml_text(host_id),
                xml_text(&self.code),
                xml_text(&self.message),
            ),
        }
    }
}

impl Reply {
    /// Checks that the reply is this refusal in this format: status, content type, request id,
    /// body.
    pub fn is(&self, format: Format, refusal: &Refusal) -> &Self {
        self.is_from("127.0.0.1", format, refusal)
    }

    /// The same if the client addressed another host.
    pub fn is_from(&self, host_id: &str, format: Format, refusal: &Refusal) -> &Self {
        assert!(!self.body.is_empty(), "no body: {self:?}; expected {refusal:?}");
        assert_eq!(
            (self.status, self.body_without_request_id()),
            (refusal.status, refusal.body(format, host_id)),
        );
        assert_eq!(self.headers["content-type"], format.content_type());
        self
    }

    /// Checks that the call succeeded with this body in this format, with a placeholder as the
    /// request id.
    pub fn says(&self, format: Format, body: &str) -> &Self {
        assert_eq!((self.status, self.body_without_request_id()), (200, body.to_owned()));
        assert_eq!(self.headers["content-type"], format.content_type());
        self
    }
}
