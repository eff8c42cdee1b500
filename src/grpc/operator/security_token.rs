//! The security tokens that `AccessKeyService` issues.

use std::ops::RangeInclusive;

use chrono::Duration;

use super::access_key_id;
use crate::audit::states;
use crate::auth::temporary::{self, TemporaryCredential};
use crate::context::Context;
use crate::domain::policy::Policy;
use crate::error::{Error, both};
use crate::grpc::Actions;
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::storage::{AuditEntry, RecordedCall, StoredAccessKey};

/// How long a temporary credential is valid if the request does not say.
const DEFAULT_LIFETIME: Duration = Duration::hours(1);
const LIFETIMES: RangeInclusive<Duration> = Duration::minutes(15)..=Duration::hours(12);
/// Longest session policy, in bytes. It is part of the token, which is part of every request.
const LONGEST_SESSION_POLICY: usize = 2048;

impl Actions {
    /// Issues a temporary credential of an access key. A credential of a disabled key works when the
    /// key is enabled again.
    pub(super) async fn issue_credential(
        &self,
        context: &Context,
        message: &wire::IssueSecurityTokenRequest,
    ) -> Result<TemporaryCredential, Error> {
        let policy = session_policy(&message.policy);
        let checked = both(access_key_id(&message.access_key_id), lifetime(message.duration));
        let ((_, lifetime), policy) = both(checked, policy)?;
        let key = self.existing_key(&message.access_key_id).await?;
        context.note_key(key.account_id, &message.access_key_id)?;
        let expires_at = context.wire_now + lifetime;
        let issued = temporary::issue(&self.key_ring, &key, policy.clone(), expires_at)?;
        self.record_issue(context, &key, &issued, policy.as_deref()).await?;
        Ok(issued)
    }
}

impl Actions {
    /// Writes the audit record. The credential itself is not stored, so without the record nobody
    /// could say who has issued it and what it may do.
    async fn record_issue(
        &self,
        context: &Context,
        key: &StoredAccessKey,
        issued: &TemporaryCredential,
        policy: Option<&str>,
    ) -> Result<(), Error> {
        let after = states::temporary_credential(&issued.id, issued.expires_at, policy);
        let entry = AuditEntry::of(context, &key.access_key_id, None, Some(after));
        let account_id = Some(key.account_id);
        let call = RecordedCall { account_id, result: "OK".to_owned(), entry };
        self.store.record_calls(vec![call]).await
    }
}

/// Returns how long a credential is valid.
fn lifetime(given: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let Some(given) = given else { return Ok(DEFAULT_LIFETIME) };
    if given.nanos != 0 {
        return Err(Error::field("duration", "is not a whole number of seconds"));
    }
    let lifetime = Duration::try_seconds(given.seconds);
    let lifetime = lifetime.filter(|given| LIFETIMES.contains(given));
    lifetime.ok_or_else(|| Error::field("duration", "is not between 15 minutes and 12 hours"))
}

/// Returns the session policy, if there is one.
fn session_policy(given: &str) -> Result<Option<String>, Error> {
    if given.is_empty() {
        return Ok(None);
    }
    if given.len() > LONGEST_SESSION_POLICY {
        return Err(Error::field("policy", "the session policy is longer than 2048 bytes"));
    }
    Policy::parse(given).map_err(|wrong| Error::field("policy", wrong))?;
    Ok(Some(given.to_owned()))
}

impl From<TemporaryCredential> for wire::IssueSecurityTokenResponse {
    fn from(issued: TemporaryCredential) -> Self {
        Self {
            access_key_id: issued.id,
            access_key_secret: issued.secret.expose().to_owned(),
            security_token: issued.security_token.expose().to_owned(),
            expire_time: Some(timestamp(issued.expires_at)),
        }
    }
}
