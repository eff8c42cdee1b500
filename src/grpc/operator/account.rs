//! `AccountService`: the facts about a customer that decide whether it may open a product.

use prost_types::FieldMask;
use tonic::Request;

use super::repeat::{Ticket, request_id};
use super::{account_id, account_id_of, etag, key_of};
use crate::audit::states;
use crate::context::Context;
use crate::domain::{Account, AccountId, Profile, Site};
use crate::error::{Error, both};
use crate::grpc::attempts::attempts;
use crate::grpc::{Actions, Reply, operate};
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::account_service_server::AccountService;
use crate::storage::{AccountUpdate, AuditEntry, RequestRecord};

const LIST: &str = "accounts";

#[tonic::async_trait]
impl AccountService for Actions {
    async fn create_account(
        &self,
        request: Request<wire::CreateAccountRequest>,
    ) -> Reply<wire::CreateAccountResponse> {
        operate("CreateAccount", request, async |context, message| {
            context.service_name()?;
            let account = self.create(&context, &message).await?;
            Ok(wire::CreateAccountResponse { account: Some(account.into()) })
        })
        .await
    }

    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Reply<wire::GetAccountResponse> {
        operate("GetAccount", request, async |context, message| {
            context.service_name()?;
            let account = self.existing_account(account_id(message.account_id)?).await?;
            Ok(wire::GetAccountResponse { account: Some(account.into()) })
        })
        .await
    }

    async fn update_account(
        &self,
        request: Request<wire::UpdateAccountRequest>,
    ) -> Reply<wire::UpdateAccountResponse> {
        operate("UpdateAccount", request, async |context, message| {
            context.service_name()?;
            let account = self.update(&context, &message).await?;
            Ok(wire::UpdateAccountResponse { account: Some(account.into()) })
        })
        .await
    }

    async fn list_accounts(
        &self,
        request: Request<wire::ListAccountsRequest>,
    ) -> Reply<wire::ListAccountsResponse> {
        operate("ListAccounts", request, async |context, message| {
            let caller = context.service_name()?;
            let page =
                self.page_tokens.page(caller, LIST, message.page_size, &message.page_token)?;
            let after = key_of(page.after.as_deref())?.unwrap_or(0);
            let mut accounts = self.store.accounts_after(after, page.read_size()).await?;
            let end = page.cut(&mut accounts, |account| account.account_id.to_string());
            Ok(wire::ListAccountsResponse {
                accounts: accounts.into_iter().map(Into::into).collect(),
                next_page_token: self.page_tokens.next(caller, LIST, end),
            })
        })
        .await
    }
}

impl Actions {
    async fn existing_account(&self, account_id: AccountId) -> Result<Account, Error> {
        self.store.account(account_id).await?.ok_or(Error::AccountNotFound)
    }

    async fn create(
        &self,
        context: &Context,
        message: &wire::CreateAccountRequest,
    ) -> Result<Account, Error> {
        let given =
            message.account.as_ref().ok_or_else(|| Error::field("account", "is required"))?;
        let checked = both(account_id_of(given), profile(given));
        let (checked, ()) = both(checked, request_id(&message.request_id))?;
        let (account_id, profile) = checked;
        let account = Account {
            account_id,
            profile,
            version: 1,
            created_at: context.wire_now,
            updated_at: context.wire_now,
        };
        let write = async |ticket: Option<Ticket>| {
            let record = ticket.map(|ticket| ticket.about(&account_id.to_string()));
            let after = states::account(&account.profile);
            let audit = AuditEntry::of(context, "", None, Some(after));
            let (new, event_id) = (account.clone(), context.new_id());
            if self.store.create_account(new, event_id, audit, record).await? {
                Ok(account.clone())
            } else {
                Err(Error::AccountAlreadyExists)
            }
        };
        let again = async |_| self.existing_account(account_id).await;
        self.repeatable(context, "CreateAccount", message, write, again).await
    }

    async fn update(
        &self,
        context: &Context,
        message: &wire::UpdateAccountRequest,
    ) -> Result<Account, Error> {
        let given =
            message.account.as_ref().ok_or_else(|| Error::field("account", "is required"))?;
        let checked = both(account_id_of(given), profile(given));
        let (checked, ()) = both(checked, check_mask(message.update_mask.as_ref()))?;
        let (account_id, wanted) = checked;
        let write = async |ticket: Option<Ticket>| {
            let record = ticket.map(|ticket| ticket.about(&account_id.to_string()));
            self.apply_update(context, message, given, &wanted, record).await
        };
        let again = async |_| self.existing_account(account_id).await;
        self.repeatable(context, "UpdateAccount", message, write, again).await
    }

    async fn apply_update(
        &self,
        context: &Context,
        message: &wire::UpdateAccountRequest,
        given: &wire::Account,
        wanted: &Profile,
        record: Option<RequestRecord>,
    ) -> Result<Account, Error> {
        attempts(async |_| {
            let mut account = self.existing_account(account_id_of(given)?).await?;
            if !given.etag.is_empty() && given.etag != etag(account.version) {
                return Err(Error::EtagMismatch);
            }
            let read_version = account.version;
            let before = states::account(&account.profile);
            apply(&mut account.profile, wanted, message.update_mask.as_ref());
            let update = AccountUpdate {
                account_id: account.account_id,
                read_version,
                profile: account.profile.clone(),
                updated_at: context.wire_now,
                event_id: context.new_id(),
            };
            let after = states::account(&account.profile);
            let audit = AuditEntry::of(context, "", Some(before), Some(after));
            let updated = self.store.update_account(update, audit, record.clone()).await?;
            account.version += 1;
            account.updated_at = context.wire_now;
            Ok(updated.then_some(account))
        })
        .await
    }
}

/// The fields that an update can change.
const CHANGEABLE: [&str; 8] = [
    "site",
    "intl_allowed",
    "bid_user",
    "real_name_verified",
    "profile_complete",
    "payment_method_valid",
    "balance",
    "orders_refused",
];

fn check_mask(mask: Option<&FieldMask>) -> Result<(), Error> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let mut checked = Ok(());
    for path in paths.iter().filter(|path| *path != "*" && !CHANGEABLE.contains(&path.as_str())) {
        let wrong = Error::field("update_mask", format!("{path:?} is not a field that can change"));
        checked = both(checked, Err(wrong)).map(|((), ())| ());
    }
    checked
}

/// Copies the fields that the mask names, or all fields, from `wanted`.
fn apply(profile: &mut Profile, wanted: &Profile, mask: Option<&FieldMask>) {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() || paths.iter().any(|path| path == "*") {
        profile.clone_from(wanted);
        return;
    }
    for path in paths {
        match path.as_str() {
            "site" => profile.site = wanted.site,
            "intl_allowed" => profile.intl_allowed = wanted.intl_allowed,
            "bid_user" => profile.bid_user = wanted.bid_user,
            "real_name_verified" => profile.real_name_verified = wanted.real_name_verified,
            "profile_complete" => profile.profile_complete = wanted.profile_complete,
            "payment_method_valid" => profile.payment_method_valid = wanted.payment_method_valid,
            "balance" => profile.balance = wanted.balance,
            "orders_refused" => profile.orders_refused = wanted.orders_refused,
            _ => {} // the mask was checked
        }
    }
}

fn profile(account: &wire::Account) -> Result<Profile, Error> {
    let site = match wire::Site::try_from(account.site) {
        Ok(wire::Site::Unspecified | wire::Site::Domestic) => Site::Domestic,
        Ok(wire::Site::Intl) => Site::Intl,
        Err(_) => return Err(Error::field("account.site", "is not a site")),
    };
    Ok(Profile {
        site,
        intl_allowed: account.intl_allowed,
        bid_user: account.bid_user,
        real_name_verified: account.real_name_verified,
        profile_complete: account.profile_complete,
        payment_method_valid: account.payment_method_valid,
        balance: account.balance,
        orders_refused: account.orders_refused,
    })
}

impl From<Account> for wire::Account {
    fn from(account: Account) -> Self {
        let etag = etag(account.version);
        let site = match account.profile.site {
            Site::Domestic => wire::Site::Domestic,
            Site::Intl => wire::Site::Intl,
        };
        Self {
            account_id: account.account_id.get(),
            site: site.into(),
            intl_allowed: account.profile.intl_allowed,
            bid_user: account.profile.bid_user,
            real_name_verified: account.profile.real_name_verified,
            profile_complete: account.profile.profile_complete,
            payment_method_valid: account.profile.payment_method_valid,
            balance: account.profile.balance,
            orders_refused: account.profile.orders_refused,
            etag,
            create_time: Some(timestamp(account.created_at)),
            update_time: Some(timestamp(account.updated_at)),
        }
    }
}
