//! Step 2: authentication. It maps a signed request to an account, or returns the error of the
//! first check that fails. For gRPC, see `services/` and `grpc/authentication.rs`.

pub mod common;
mod keys;
pub mod last_uses;
mod lines;
pub mod sealing;
pub mod secret;
pub mod secret_files;
pub mod services;
pub mod signature;
pub mod temporary;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::Duration;

use common::Signature;
pub use common::{CommonParameters, Credentials, Scheme, SignedRequest};
use keys::{ReadyKey, ReadyKeys};
use last_uses::LastUses;
use sealing::KeyRing;
use signature::{v1, v3};
use temporary::{OpenedToken, STS};

use crate::domain::policy::Permission;
use crate::domain::{AccountId, Time, time};
use crate::error::Error;
use crate::error::denial::{Denial, PolicyType, PrincipalType};
use crate::quotas::{ActionQuota, Admission, Quotas};
use crate::storage::{NonceUse, Store, StoredAccessKey};

/// Checks signed requests. Clones share the keys that are ready.
#[derive(Clone, Debug)]
pub struct Authenticator {
    store: Store,
    key_ring: KeyRing,
    ready_keys: ReadyKeys,
    last_uses: LastUses,
    /// Largest difference between a timestamp and the clock, in either direction.
    timestamp_window: Duration,
    quotas: Quotas,
}

/// The account whose access key has signed a request.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The account that the key signs for.
    pub account_id: AccountId,
    /// The access key for which a temporary credential was issued; `None` for an access key.
    pub parent: Option<Arc<str>>,
}

/// How a request is limited.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits<'a> {
    /// The address that it comes from.
    pub address: Option<IpAddr>,
    /// How often an account may call the action.
    pub quota: Option<&'a ActionQuota>,
}

/// An access key, or a temporary credential, whose request has passed every check except the
/// permission.
#[derive(Debug)]
pub struct AuthenticatedKey {
    /// Who has signed.
    pub signer: Signer,
    /// The place of the request among those of the account that run. Its call is not yet taken from
    /// the quota.
    pub admission: Admission,
    ready: Arc<ReadyKey>,
}

impl AuthenticatedKey {
    /// Refuses an action that the key's policy, or the session policy of a temporary credential,
    /// does not allow; `action` is like "cdn:OpenCdnService". The denial names the key as the
    /// request does.
    pub fn permit(&self, action: &str, access_key_id: &str, wire_now: Time) -> Result<(), Error> {
        let ReadyKey { policy, session_policy, .. } = &*self.ready;
        let session = session_policy.as_ref().map(|policy| (PolicyType::SessionPolicy, policy));
        let own = (PolicyType::AccountLevelIdentityBasedPolicy, policy);
        for (policy_type, policy) in [Some(own), session].into_iter().flatten() {
            let permission = policy.decide(action, self.signer.account_id);
            if permission != Permission::Allowed {
                let is_temporary = self.signer.parent.is_some();
                return Err(Error::ForbiddenByPolicy(Box::new(Denial {
                    action: action.into(),
                    account_id: self.signer.account_id,
                    access_key_id: access_key_id.into(),
                    principal: PrincipalType::of(is_temporary),
                    policy: policy_type,
                    is_explicit: permission == Permission::DeniedExplicitly,
                    at: wire_now,
                })));
            }
        }
        Ok(())
    }
}

impl Authenticator {
    /// Returns an authenticator with the keys and nonces of a store. It notes the uses of keys in
    /// `last_uses`.
    #[must_use]
    pub fn new(
        store: Store,
        key_ring: KeyRing,
        last_uses: LastUses,
        timestamp_window: Duration,
        quotas: Quotas,
    ) -> Self {
        let ready_keys = ReadyKeys::default();
        Self { store, key_ring, ready_keys, last_uses, timestamp_window, quotas }
    }

    /// Runs the checks in their order (docs/protocol.md, "Order of checks"). The nonce is used up
    /// only after the signature was found to match, and not by a request beyond the quota. `signer`
    /// is set when the signature was found to match, also if a later check fails.
    pub async fn authenticate(
        &self,
        request: &SignedRequest<'_>,
        credentials: &Credentials<'_>,
        limits: RequestLimits<'_>,
        wire_now: Time,
        signer: &mut Option<Signer>,
    ) -> Result<AuthenticatedKey, Error> {
        let (key, token) = self.key(credentials, limits.address, wire_now).await?;
        let timestamp = time::parse_signed(credentials.timestamp).ok_or(Error::TimestampFormat)?;
        if (wire_now - timestamp).abs() > self.timestamp_window {
            return Err(Error::TimestampExpired);
        }
        let ready = self.ready_keys.of(&key, token.as_ref(), &self.key_ring)?;
        check_signature(request, credentials, &ready)?;
        let parent = token.map(|token| token.parent.into());
        let signed_by = Signer { account_id: key.account_id, parent };
        *signer = Some(signed_by.clone());
        let admission = self.quotas.admit(key.account_id, limits.quota)?;
        let access_key_id = credentials.access_key_id;
        let nonce = NonceUse { access_key_id, nonce: credentials.nonce, timestamp };
        if !self.store.use_nonce(nonce).await? {
            return Err(Error::NonceUsed);
        }
        self.last_uses.note(&key, wire_now);
        Ok(AuthenticatedKey { signer: signed_by, admission, ready })
    }

    /// Returns the row of the key that signed, or that of the parent of a temporary credential, and
    /// its token. The parent is named by the token only, so the token is opened first.
    async fn key(
        &self,
        credentials: &Credentials<'_>,
        address: Option<IpAddr>,
        wire_now: Time,
    ) -> Result<(StoredAccessKey, Option<OpenedToken>), Error> {
        let Credentials { access_key_id, security_token, .. } = *credentials;
        if !access_key_id.starts_with(STS) {
            let key = self.enabled_key(access_key_id, address).await?;
            return match security_token {
                Some(_) => Err(Error::SecurityTokenMismatch), // an access key has no token
                None => Ok((key, None)),
            };
        }
        let token = security_token.ok_or_else(|| Error::missing("SecurityToken"))?;
        let token =
            OpenedToken::open(&self.key_ring, token).ok_or(Error::SecurityTokenMalformed)?;
        if token.id != access_key_id {
            return Err(Error::SecurityTokenMismatch);
        }
        let key = self.enabled_key(&token.parent, address).await?;
        if key.account_id != token.account_id {
            return Err(Error::AccessKeyNotFound); // another key with the same id
        }
        if wire_now >= token.expires_at {
            return Err(Error::SecurityTokenExpired);
        }
        Ok((key, Some(token)))
    }

    async fn enabled_key(
        &self,
        access_key_id: &str,
        address: Option<IpAddr>,
    ) -> Result<StoredAccessKey, Error> {
        self.quotas.before_look_up(address, access_key_id)?;
        let key = self.store.access_key(access_key_id).await?;
        self.quotas.after_look_up(address, access_key_id, key.is_some());
        let key = key.ok_or(Error::AccessKeyNotFound)?;
        if key.disabled { Err(Error::AccessKeyInactive) } else { Ok(key) }
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
