//! `AccessKeyService`: the pairs of id and secret with which an account signs requests.

use tonic::Request;

use super::{account_id, stamp};
use crate::auth::secret::{Secret, random_access_key_id};
use crate::context::Context;
use crate::domain::policy::{EVERYTHING, Policy};
use crate::error::Error;
use crate::grpc::{Actions, Reply, act};
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::access_key_service_server::AccessKeyService;
use crate::storage::{NewAccessKey, StoredAccessKey};

/// How often a change is made again because others wrote in between.
const ATTEMPTS: u32 = 16;

#[tonic::async_trait]
impl AccessKeyService for Actions {
    async fn create_access_key(
        &self,
        request: Request<wire::CreateAccessKeyRequest>,
    ) -> Reply<wire::CreateAccessKeyResponse> {
        act("CreateAccessKey", request, async |context, message| {
            context.service()?;
            let (key, secret) = self.create_key(&context, message).await?;
            let access_key_secret = secret.expose().to_owned();
            Ok(wire::CreateAccessKeyResponse { access_key: Some(key.into()), access_key_secret })
        })
        .await
    }

    async fn disable_access_key(
        &self,
        request: Request<wire::DisableAccessKeyRequest>,
    ) -> Reply<wire::DisableAccessKeyResponse> {
        act("DisableAccessKey", request, async |context, message| {
            context.service()?;
            let key = self.set_disabled(&context, &message.access_key_id, true).await?;
            Ok(wire::DisableAccessKeyResponse { access_key: Some(key.into()) })
        })
        .await
    }

    async fn enable_access_key(
        &self,
        request: Request<wire::EnableAccessKeyRequest>,
    ) -> Reply<wire::EnableAccessKeyResponse> {
        act("EnableAccessKey", request, async |context, message| {
            context.service()?;
            let key = self.set_disabled(&context, &message.access_key_id, false).await?;
            Ok(wire::EnableAccessKeyResponse { access_key: Some(key.into()) })
        })
        .await
    }
}

impl Actions {
    async fn create_key(
        &self,
        context: &Context,
        message: wire::CreateAccessKeyRequest,
    ) -> Result<(StoredAccessKey, Secret), Error> {
        let account_id = account_id(message.account_id)?;
        let policy = if message.policy.is_empty() { EVERYTHING.to_owned() } else { message.policy };
        Policy::parse(&policy).map_err(|wrong| Error::field("policy", wrong))?;
        // Accounts are never deleted: one that is read now is there when the key is written.
        let account = self.store.account(account_id).await?.ok_or(Error::AccountNotFound)?;
        let secret = Secret::random()?;
        let access_key_id = random_access_key_id()?;
        let new = NewAccessKey {
            secret_sealed: self.sealing_key.seal(&access_key_id, &secret)?,
            access_key_id,
            account_id,
            policy,
            disabled: false,
            created_at: context.wire_now,
            stamp: stamp(context, Some(account.event_time)),
        };
        if !self.store.create_access_key(new.clone()).await? {
            return Err(Error::internal("a random access key id is taken"));
        }
        Ok((stored(new), secret))
    }

    async fn set_disabled(
        &self,
        context: &Context,
        access_key_id: &str,
        disabled: bool,
    ) -> Result<StoredAccessKey, Error> {
        // A database text holds no NUL: an id with one is of no key.
        if access_key_id.is_empty() || access_key_id.contains('\0') {
            return Err(Error::UnknownAccessKey);
        }
        for _ in 0..ATTEMPTS {
            let key = self.store.access_key(access_key_id).await?.ok_or(Error::UnknownAccessKey)?;
            if key.disabled == disabled {
                return Ok(key);
            }
            let stamp = stamp(context, Some(key.event_time));
            if self.store.set_access_key_disabled(&key, disabled, context.wire_now, stamp).await? {
                return Ok(StoredAccessKey { disabled, updated_at: context.wire_now, ..key });
            }
        }
        Err(Error::Contended)
    }
}

/// The key as the statement stored it.
fn stored(new: NewAccessKey) -> StoredAccessKey {
    StoredAccessKey {
        access_key_id: new.access_key_id,
        account_id: new.account_id,
        secret_sealed: new.secret_sealed,
        policy: new.policy,
        disabled: new.disabled,
        version: 1,
        created_at: new.created_at,
        updated_at: new.created_at,
        event_time: new.stamp.time,
    }
}

impl From<StoredAccessKey> for wire::AccessKey {
    fn from(key: StoredAccessKey) -> Self {
        Self {
            access_key_id: key.access_key_id,
            account_id: key.account_id.get(),
            disabled: key.disabled,
            policy: key.policy,
            create_time: Some(timestamp(key.created_at)),
            update_time: Some(timestamp(key.updated_at)),
        }
    }
}
