//! `AccessKeyService`: the pairs of id and secret with which an account signs requests.

use tonic::Request;

use super::repeat::{Repeatable, Ticket, request_id};
use super::{access_key_id, account_id, etag};
use crate::audit::states;
use crate::auth::secret::{Secret, random_access_key_id};
use crate::context::Context;
use crate::domain::AccountId;
use crate::domain::policy::{EVERYTHING, Policy};
use crate::error::{Error, both};
use crate::grpc::attempts::attempts;
use crate::grpc::{Actions, Reply, operate};
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::access_key_service_server::AccessKeyService;
use crate::storage::{AuditEntry, MOST_ACCESS_KEYS, NewAccessKey, StoredAccessKey};

/// Largest number of attempts to create a key, if other keys of the account are created at the same
/// time.
const CREATIONS: u32 = 16;

#[tonic::async_trait]
impl AccessKeyService for Actions {
    async fn create_access_key(
        &self,
        request: Request<wire::CreateAccessKeyRequest>,
    ) -> Reply<wire::CreateAccessKeyResponse> {
        operate("CreateAccessKey", request, async |context, message| {
            context.service_name()?;
            let (key, secret) = self.create_key(&context, &message).await?;
            context.note_key(key.account_id, &key.access_key_id)?;
            let access_key_secret = secret.expose().to_owned();
            Ok(wire::CreateAccessKeyResponse { access_key: Some(key.into()), access_key_secret })
        })
        .await
    }

    async fn disable_access_key(
        &self,
        request: Request<wire::DisableAccessKeyRequest>,
    ) -> Reply<wire::DisableAccessKeyResponse> {
        operate("DisableAccessKey", request, async |context, message| {
            context.service_name()?;
            let wanted = Wanted { id: &message.access_key_id, etag: &message.etag, disabled: true };
            let key = self.set_disabled(&context, "DisableAccessKey", &message, wanted).await?;
            Ok(wire::DisableAccessKeyResponse { access_key: Some(key.into()) })
        })
        .await
    }

    async fn enable_access_key(
        &self,
        request: Request<wire::EnableAccessKeyRequest>,
    ) -> Reply<wire::EnableAccessKeyResponse> {
        operate("EnableAccessKey", request, async |context, message| {
            context.service_name()?;
            let wanted =
                Wanted { id: &message.access_key_id, etag: &message.etag, disabled: false };
            let key = self.set_disabled(&context, "EnableAccessKey", &message, wanted).await?;
            Ok(wire::EnableAccessKeyResponse { access_key: Some(key.into()) })
        })
        .await
    }

    async fn delete_access_key(
        &self,
        request: Request<wire::DeleteAccessKeyRequest>,
    ) -> Reply<wire::DeleteAccessKeyResponse> {
        operate("DeleteAccessKey", request, async |context, message| {
            context.service_name()?;
            self.delete_key(&context, &message).await?;
            Ok(wire::DeleteAccessKeyResponse {})
        })
        .await
    }

    async fn list_access_keys(
        &self,
        request: Request<wire::ListAccessKeysRequest>,
    ) -> Reply<wire::ListAccessKeysResponse> {
        operate("ListAccessKeys", request, async |context, message| {
            let caller = context.service_name()?;
            let list = format!("access keys of {}", message.account_id);
            let page = self.page_tokens.page(caller, &list, message.page_size, &message.page_token);
            let (account_id, page) = both(account_id(message.account_id), page)?;
            self.store.account(account_id).await?.ok_or(Error::AccountNotFound)?;
            let after = page.after.clone().unwrap_or_default();
            let mut keys =
                self.store.access_keys_after(account_id, &after, page.read_size()).await?;
            let end = page.cut(&mut keys, |key| key.access_key_id.clone());
            Ok(wire::ListAccessKeysResponse {
                access_keys: keys.into_iter().map(Into::into).collect(),
                next_page_token: self.page_tokens.next(caller, &list, end),
            })
        })
        .await
    }

    async fn issue_security_token(
        &self,
        request: Request<wire::IssueSecurityTokenRequest>,
    ) -> Reply<wire::IssueSecurityTokenResponse> {
        operate("IssueSecurityToken", request, async |context, message| {
            context.service_name()?;
            Ok(self.issue_credential(&context, &message).await?.into())
        })
        .await
    }
}

/// The state that a request asks for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    id: &'a str,
    etag: &'a str,
    disabled: bool,
}

impl Actions {
    async fn create_key(
        &self,
        context: &Context,
        message: &wire::CreateAccessKeyRequest,
    ) -> Result<(StoredAccessKey, Secret), Error> {
        let policy = if message.policy.is_empty() { EVERYTHING } else { &message.policy };
        let parsed = Policy::parse(policy).map_err(|wrong| Error::field("policy", wrong));
        let checked = both(account_id(message.account_id), parsed);
        let ((account_id, _), ()) = both(checked, request_id(&message.request_id))?;
        let write = async |ticket| self.write_key(context, account_id, policy, ticket).await;
        let again = async |access_key_id: String| self.key_again(&access_key_id).await;
        self.repeatable(context, "CreateAccessKey", message, write, again).await
    }

    async fn write_key(
        &self,
        context: &Context,
        account_id: AccountId,
        policy: &str,
        ticket: Option<Ticket>,
    ) -> Result<(StoredAccessKey, Secret), Error> {
        // Accounts are never deleted, so an account that is read now exists when the key is
        // written.
        self.store.account(account_id).await?.ok_or(Error::AccountNotFound)?;
        let secret = Secret::random()?;
        let access_key_id = random_access_key_id()?;
        let record = ticket.map(|ticket| ticket.about(&access_key_id));
        let new = NewAccessKey {
            secret_sealed: self.key_ring.first().seal_secret(
                &access_key_id,
                account_id,
                &secret,
            )?,
            access_key_id,
            account_id,
            policy: policy.to_owned(),
            disabled: false,
            created_at: context.wire_now,
            event_id: context.new_id(),
        };
        let after = states::access_key(new.disabled, policy);
        let audit = AuditEntry::of(context, &new.access_key_id, None, Some(after));
        for _ in 0..CREATIONS {
            let (new, audit, record) = (new.clone(), audit.clone(), record.clone());
            if self.store.create_access_key(new.clone(), audit, record).await? {
                return Ok((new.into(), secret));
            }
            let most = i64::try_from(MOST_ACCESS_KEYS).unwrap_or(i64::MAX);
            let keys = self.store.access_keys_after(account_id, "", most).await?;
            if keys.len() >= MOST_ACCESS_KEYS {
                return Err(Error::TooManyAccessKeys);
            }
            // Another key of the account took the place at the same time.
        }
        Err(Error::Contended)
    }

    /// Returns the key of a repeated request, with its secret decrypted again.
    async fn key_again(&self, access_key_id: &str) -> Result<(StoredAccessKey, Secret), Error> {
        let key = self.existing_key(access_key_id).await?;
        let secret =
            self.key_ring.open_secret(access_key_id, key.account_id, &key.secret_sealed)?;
        Ok((key, secret))
    }

    pub(super) async fn existing_key(&self, access_key_id: &str) -> Result<StoredAccessKey, Error> {
        // A text in PostgreSQL cannot contain NUL, so no key has such an id.
        if access_key_id.contains('\0') {
            return Err(Error::UnknownAccessKey);
        }
        self.store.access_key(access_key_id).await?.ok_or(Error::UnknownAccessKey)
    }

    async fn set_disabled(
        &self,
        context: &Context,
        method: &str,
        message: &impl Repeatable,
        wanted: Wanted<'_>,
    ) -> Result<StoredAccessKey, Error> {
        access_key_id(wanted.id)?;
        let write = async |ticket| self.write_disabled(context, wanted, ticket).await;
        let again = async |_| {
            let key = self.existing_key(wanted.id).await?;
            context.note_key(key.account_id, wanted.id)?;
            Ok(key)
        };
        self.repeatable(context, method, message, write, again).await
    }

    async fn write_disabled(
        &self,
        context: &Context,
        wanted: Wanted<'_>,
        ticket: Option<Ticket>,
    ) -> Result<StoredAccessKey, Error> {
        attempts(async |_| {
            let key = self.existing_key(wanted.id).await?;
            context.note_key(key.account_id, wanted.id)?;
            check_etag(&key, wanted.etag)?;
            if key.disabled == wanted.disabled {
                self.record_unwritten(ticket.as_ref(), wanted.id).await?;
                return Ok(Some(key));
            }
            let (now, event_id) = (context.wire_now, context.new_id());
            let record = ticket.as_ref().map(|ticket| ticket.about(wanted.id));
            let disabled = wanted.disabled;
            let state = |disabled| Some(states::access_key(disabled, &key.policy));
            let audit = AuditEntry::of(context, wanted.id, state(key.disabled), state(disabled));
            let written =
                self.store.set_access_key_disabled(&key, disabled, now, event_id, audit, record);
            let (written, version) = (written.await?, key.version + 1);
            Ok(written.then_some(StoredAccessKey { disabled, version, updated_at: now, ..key }))
        })
        .await
    }

    async fn delete_key(
        &self,
        context: &Context,
        message: &wire::DeleteAccessKeyRequest,
    ) -> Result<(), Error> {
        both(access_key_id(&message.access_key_id), request_id(&message.request_id))?;
        let write = async |ticket: Option<Ticket>| {
            attempts(async |_| {
                let key = self.existing_key(&message.access_key_id).await?;
                context.note_key(key.account_id, &message.access_key_id)?;
                check_etag(&key, &message.etag)?;
                let record = ticket.as_ref().map(|ticket| ticket.about(&message.access_key_id));
                let before = states::access_key(key.disabled, &key.policy);
                let audit = AuditEntry::of(context, &message.access_key_id, Some(before), None);
                let event_id = context.new_id();
                let deleted = self.store.delete_access_key(&key, event_id, audit, record).await?;
                Ok(deleted.then_some(()))
            })
            .await
        };
        self.repeatable(context, "DeleteAccessKey", message, write, async |_| Ok(())).await
    }
}

fn check_etag(key: &StoredAccessKey, given: &str) -> Result<(), Error> {
    if given.is_empty() || given == etag(key.version) { Ok(()) } else { Err(Error::EtagMismatch) }
}

/// Builds the key as the statement stores it.
impl From<NewAccessKey> for StoredAccessKey {
    fn from(new: NewAccessKey) -> Self {
        Self {
            access_key_id: new.access_key_id,
            account_id: new.account_id,
            secret_sealed: new.secret_sealed,
            policy: new.policy,
            disabled: new.disabled,
            version: 1,
            created_at: new.created_at,
            updated_at: new.created_at,
            last_used_on: None,
        }
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
            etag: etag(key.version),
            last_used_date: key.last_used_on.map(|day| day.to_string()).unwrap_or_default(),
        }
    }
}
