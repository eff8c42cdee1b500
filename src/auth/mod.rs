//! Step 2: authentication. It maps a signed request to an account, or returns the error of the
//! first check that fails. For gRPC, see `grpc/authentication.rs`.

pub mod common;
mod keys;
pub mod secret;
pub mod signature;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::Duration;

use common::Signature;
pub use common::{CommonParameters, Credentials, Scheme, SignedRequest};
use keys::{ReadyKey, ReadyKeys};
use secret::SealingKey;
use signature::{v1, v3};

use crate::domain::{AccountId, Time, time};
use crate::error::Error;
use crate::quotas::{ActionQuota, Admission, Quotas};
use crate::storage::{NonceUse, Store};

/// Checks signed requests. Clones share the keys that are ready.
#[derive(Clone, Debug)]
pub struct Authenticator {
    store: Store,
    sealing_key: SealingKey,
    ready_keys: ReadyKeys,
    /// Largest difference between a timestamp and the clock, in either direction.
    timestamp_window: Duration,
    quotas: Quotas,
}

/// How a request is limited.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits<'a> {
    /// The address that it comes from.
    pub address: Option<IpAddr>,
    /// How often an account may call the action.
    pub quota: Option<&'a ActionQuota>,
}

/// An access key whose request has passed every check except the permission.
#[derive(Debug)]
pub struct AuthenticatedKey {
    /// The account that it signs for.
    pub account_id: AccountId,
    /// The place of the request among those of the account that run.
    pub admission: Admission,
    ready: Arc<ReadyKey>,
}

impl AuthenticatedKey {
    /// Refuses an action that the key's policy does not allow; `action` is like
    /// "cdn:OpenCdnService".
    pub fn permit(&self, action: &str) -> Result<(), Error> {
        if self.ready.policy.allows(action) { Ok(()) } else { Err(Error::ForbiddenByPolicy) }
    }
}

impl Authenticator {
    /// Returns an authenticator with the keys and nonces of a store.
    #[must_use]
    pub fn new(
        store: Store,
        sealing_key: SealingKey,
        timestamp_window: Duration,
        quotas: Quotas,
    ) -> Self {
        Self { store, sealing_key, ready_keys: ReadyKeys::default(), timestamp_window, quotas }
    }

    /// Runs the checks in their order (docs/protocol.md, "Order of checks"). The nonce is used up
    /// only after the signature was found to match, and not by a request beyond the quota. The quota
    /// is used up only by a request with a new nonce.
    pub async fn authenticate(
        &self,
        request: &SignedRequest<'_>,
        credentials: &Credentials<'_>,
        limits: RequestLimits<'_>,
        wire_now: Time,
    ) -> Result<AuthenticatedKey, Error> {
        let access_key_id = credentials.access_key_id;
        self.quotas.before_look_up(limits.address, access_key_id)?;
        let key = self.store.access_key(access_key_id).await?;
        self.quotas.after_look_up(limits.address, access_key_id, key.is_some());
        let key = key.ok_or(Error::AccessKeyNotFound)?;
        if key.disabled {
            return Err(Error::AccessKeyInactive);
        }
        if credentials.security_token.is_some() {
            return Err(Error::SecurityTokenMismatch); // every key is permanent and has no token
        }
        let timestamp = time::parse_signed(credentials.timestamp).ok_or(Error::TimestampFormat)?;
        if (wire_now - timestamp).abs() > self.timestamp_window {
            return Err(Error::TimestampExpired);
        }
        let ready = self.ready_keys.of(&key, &self.sealing_key)?;
        check_signature(request, credentials, &ready)?;
        let admission = self.quotas.admit(key.account_id, limits.quota)?;
        let nonce = NonceUse { access_key_id, nonce: credentials.nonce, timestamp };
        if !self.store.use_nonce(nonce).await? {
            return Err(Error::NonceUsed);
        }
        admission.take()?;
        Ok(AuthenticatedKey { account_id: key.account_id, admission, ready })
    }
}

fn check_signature(
    request: &SignedRequest<'_>,
    credentials: &Credentials<'_>,
    key: &ReadyKey,
) -> Result<(), Error> {
    match credentials.signature {
        Signature::Unknown | Signature::V1 { method_is_known: false, .. } => {
            Err(Error::InvalidSignatureMethod)
        }
        Signature::V1 { signature, .. } => {
            let string_to_sign = v1::string_to_sign(request.method, request.parameters);
            if key.v1.verify(&string_to_sign, signature) {
                return Ok(());
            }
            Err(Error::SignatureV1Mismatch(string_to_sign.into()))
        }
        Signature::V3(authorization) => check_v3(request, authorization, &key.v3),
    }
}

fn check_v3(
    request: &SignedRequest<'_>,
    authorization: v3::Authorization<'_>,
    key: &v3::Key,
) -> Result<(), Error> {
    // Only `x-acs-` headers must be signed: official clients sign neither `host` nor
    // `content-type`. The body is covered by its hash, and a body that is not a form is refused.
    let mut sent = request.headers.keys().map(http::HeaderName::as_str);
    if sent.any(|name| name.starts_with("x-acs-") && !authorization.signs(name)) {
        return Err(Error::IncompleteSignature);
    }
    let payload_hash = request.header("x-acs-content-sha256").ok_or(Error::IncompleteSignature)?;
    let canonical_request = v3::canonical_request(
        request.method,
        request.parameters,
        request.headers,
        authorization.signed_headers,
        payload_hash,
    );
    let string_to_sign = v3::string_to_sign(&canonical_request);
    // The client signs the hash in the header. Whether it is the hash of the body is checked here.
    let body_is_signed = payload_hash == v3::hash(request.body);
    if body_is_signed && key.verify(&string_to_sign, authorization.signature) {
        return Ok(());
    }
    let (string_to_sign, canonical_request) = (string_to_sign.into(), canonical_request.into());
    Err(Error::SignatureV3Mismatch { string_to_sign, canonical_request })
}
