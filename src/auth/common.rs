//! The common parameters, which every signed request has beside those of its action. A request with
//! signature V1 has them in its parameters, one with signature V3 in its headers.

use http::HeaderMap;

use super::signature::v3::{self, Authorization};
use super::signature::{Parameters, v1};
use crate::error::Error;

/// A decoded request. No name occurs twice, and no value contains a control character.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The HTTP method in capitals.
    pub method: &'a str,
    /// The parameters of query and form.
    pub parameters: &'a Parameters,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Which signature a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA1 in the parameters.
    V1,
    /// ACS3-HMAC-SHA256 in the headers.
    V3,
}

/// The common parameters that a request has.
#[derive(Clone, Copy, Debug)]
pub struct CommonParameters<'a> {
    /// Which signature they belong to.
    pub scheme: Scheme,
    action: Option<&'a str>,
    version: Option<&'a str>,
    access_key_id: Option<&'a str>,
    signature: Option<&'a str>,
    signature_method: Option<&'a str>,
    signature_version: Option<&'a str>,
    signature_type: Option<&'a str>,
    nonce: Option<&'a str>,
    timestamp: Option<&'a str>,
    /// The security token, if the request has one.
    pub security_token: Option<&'a str>,
    authorization: Option<&'a str>,
}

/// The parameters that authenticate a request. None of them is missing.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The key that signed.
    pub access_key_id: &'a str,
    /// The nonce.
    pub nonce: &'a str,
    /// The timestamp, not parsed.
    pub timestamp: &'a str,
    /// The security token, if the request has one.
    pub security_token: Option<&'a str>,
    /// The signature itself.
    pub signature: Signature<'a>,
}

/// A signature as the request has it.
#[derive(Clone, Copy, Debug)]
pub enum Signature<'a> {
    /// V1.
    V1 {
        /// In base64.
        signature: &'a str,
        /// Whether `SignatureMethod`, `SignatureVersion` and `SignatureType` are supported.
        method_is_known: bool,
    },
    /// V3.
    V3(Authorization<'a>),
    /// An `Authorization` header of another scheme.
    Unknown,
}

impl<'a> SignedRequest<'a> {
    /// Returns a parameter of the query or the form. An empty one counts as absent.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.get(name).filter(|value| !value.is_empty())
    }

    /// Returns a header. An empty one counts as absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        value.filter(|value| !value.is_empty())
    }

    /// Returns which signature the request uses. V3 is in the header `Authorization`. A V3 request
    /// without credentials is recognised by its action and date, which are in headers only.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.header("authorization").is_some_and(|value| value.starts_with("ACS")) {
            return Scheme::V3;
        }
        // If there is a V1 signature, an `Authorization` header of another scheme belongs to a
        // proxy.
        let in_headers = self.headers.contains_key(http::header::AUTHORIZATION)
            || (self.headers.contains_key("x-acs-date") && self.parameter("Action").is_none());
        let is_v3 = in_headers && self.parameter(v1::SIGNATURE).is_none();
        if is_v3 { Scheme::V3 } else { Scheme::V1 }
    }
}

impl<'a> CommonParameters<'a> {
    /// Reads the common parameters of a request.
    #[must_use]
    pub fn read(request: &SignedRequest<'a>) -> Self {
        match request.scheme() {
            Scheme::V1 => Self::of_parameters(request.parameters),
            Scheme::V3 => Self {
                action: request.header("x-acs-action"),
                version: request.header("x-acs-version"),
                nonce: request.header("x-acs-signature-nonce"),
                timestamp: request.header("x-acs-date"),
                security_token: request.header("x-acs-security-token"),
                authorization: request.header("authorization"),
                ..Self::none(Scheme::V3)
            },
        }
    }

    /// Reads all parameters in one pass, which costs less than a search for each name.
    fn of_parameters(parameters: &'a Parameters) -> Self {
        let mut common = Self::none(Scheme::V1);
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            let slot = match name {
                "Action" => &mut common.action,
                "Version" => &mut common.version,
                "AccessKeyId" => &mut common.access_key_id,
                v1::SIGNATURE => &mut common.signature,
                "SignatureMethod" => &mut common.signature_method,
                "SignatureVersion" => &mut common.signature_version,
                "SignatureType" => &mut common.signature_type,
                "SignatureNonce" => &mut common.nonce,
                "Timestamp" => &mut common.timestamp,
                "SecurityToken" => &mut common.security_token,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        common
    }

    const fn none(scheme: Scheme) -> Self {
        Self {
            scheme,
            action: None,
            version: None,
            access_key_id: None,
            signature: None,
            signature_method: None,
            signature_version: None,
            signature_type: None,
            nonce: None,
            timestamp: None,
            security_token: None,
            authorization: None,
        }
    }

    /// Returns the action and its API version.
    pub fn action(&self) -> Result<(&'a str, &'a str), Error> {
        let action = self.action.ok_or_else(|| Error::missing("Action"))?;
        let version = self.version.ok_or_else(|| Error::missing("Version"))?;
        Ok((action, version))
    }

    /// Returns the id of the access key that the request names, even if other credentials are
    /// missing or cannot be read.
    #[must_use]
    pub fn access_key_id(&self) -> Option<&'a str> {
        let of_v3 = || Authorization::parse(self.authorization?.split_once(' ')?.1);
        self.access_key_id.or_else(|| of_v3().map(|parsed| parsed.credential))
    }

    /// Returns the credentials. The error names the first parameter that is missing, in the order
    /// of docs/protocol.md, "Common parameters". If a header of V3 is missing, it names the
    /// parameter that the header replaces.
    pub fn credentials(&self) -> Result<Credentials<'a>, Error> {
        match self.scheme {
            Scheme::V1 => self.credentials_v1(),
            Scheme::V3 => self.credentials_v3(),
        }
    }

    fn credentials_v1(&self) -> Result<Credentials<'a>, Error> {
        let access_key_id = self.access_key_id.ok_or_else(|| Error::missing("AccessKeyId"))?;
        let signature = self.signature.ok_or_else(|| Error::missing("Signature"))?;
        let method = self.signature_method.ok_or_else(|| Error::missing("SignatureMethod"))?;
        let version = self.signature_version.ok_or_else(|| Error::missing("SignatureVersion"))?;
        let nonce = self.nonce.ok_or_else(|| Error::missing("SignatureNonce"))?;
        let timestamp = self.timestamp.ok_or_else(|| Error::missing("Timestamp"))?;
        let method_is_known =
            method == v1::METHOD && version == v1::VERSION && self.signature_type.is_none();
        Ok(Credentials {
            access_key_id,
            nonce,
            timestamp,
            security_token: self.security_token,
            signature: Signature::V1 { signature, method_is_known },
        })
    }

    fn credentials_v3(&self) -> Result<Credentials<'a>, Error> {
        let authorization = self.authorization.ok_or_else(|| Error::missing("AccessKeyId"))?;
        let (algorithm, fields) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let (access_key_id, signature) = match Authorization::parse(fields) {
            Some(parsed) if algorithm == v3::ALGORITHM => {
                (parsed.credential, Signature::V3(parsed))
            }
            Some(parsed) => (parsed.credential, Signature::Unknown),
            None if algorithm == v3::ALGORITHM => return Err(Error::IncompleteSignature),
            None => return Err(Error::InvalidSignatureMethod),
        };
        let nonce = self.nonce.ok_or_else(|| Error::missing("SignatureNonce"))?;
        let timestamp = self.timestamp.ok_or_else(|| Error::missing("Timestamp"))?;
        Ok(Credentials {
            access_key_id,
            nonce,
            timestamp,
            security_token: self.security_token,
            signature,
        })
    }
}
