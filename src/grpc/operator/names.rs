//! The account and the access key that an operator's request names, for the log line of the call and
//! for the check of the grants, and for audit.

use std::sync::Arc;

use crate::context::Context;
use crate::domain::{AccountId, Product};
use crate::error::Error;
use crate::logging::Subject;
use crate::proto::operator::v1 as wire;

/// Largest part of an access key id from a caller that is logged, in bytes. Ids of the service are
/// shorter.
const LONGEST_ID: usize = 64;

/// A request that may name an account or an access key.
pub(in crate::grpc) trait Names {
    /// Returns the account id of the request, unchecked; 0 if the field is not set.
    fn account_id(&self) -> Option<i64> {
        None
    }

    /// Returns the access key id of the request, unchecked.
    fn access_key_id(&self) -> Option<&str> {
        None
    }

    /// Returns what the request is about, for audit. Empty if it is the account.
    fn resource(&self) -> String {
        self.access_key_id().unwrap_or_default().to_owned()
    }
}

/// Returns what a request about a lock is about.
pub(in crate::grpc) fn lock_resource(product: &str, reason: &str) -> String {
    format!("{product} {reason}")
}

/// Returns the name of a product of a request; `?` for a number that is not a product.
fn product_name(number: i32) -> &'static str {
    super::product(number).map_or("?", Product::name)
}

/// Returns the subject of an operator's call: what its request names. The call adds the access key
/// that it finds or creates.
pub(in crate::grpc) fn subject(context: &mut Context, message: &impl Names) -> Subject {
    let found_key = Arc::default();
    context.found_key = Some(Arc::clone(&found_key));
    let id = message.access_key_id();
    Subject {
        caller: context.service_name().ok().cloned(),
        account_id: message.account_id().filter(|account_id| *account_id != 0),
        access_key_id: id.map(|id| id[..id.floor_char_boundary(LONGEST_ID)].to_owned()),
        found_key: Some(found_key),
    }
}

/// Refuses a request about an account that the calling service is not granted. The account of an
/// access key is known only after the key is read, and is checked then, by [`Context::note_key`].
pub(in crate::grpc) fn check(context: &Context, message: &impl Names) -> Result<(), Error> {
    if message.access_key_id().is_some() {
        return Ok(());
    }
    context.check_grant(message.account_id().and_then(AccountId::new))
}

/// Implements [`Names`] for requests with a field `account_id`.
macro_rules! name_an_account {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn account_id(&self) -> Option<i64> {
                Some(self.account_id)
            }
        })*
    };
}

/// Implements [`Names`] for requests with a field `account`.
macro_rules! hold_an_account {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn account_id(&self) -> Option<i64> {
                self.account.as_ref().map(|account| account.account_id)
            }
        })*
    };
}

/// Implements [`Names`] for requests with a field `access_key_id`.
macro_rules! name_a_key {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn access_key_id(&self) -> Option<&str> {
                Some(&self.access_key_id)
            }
        })*
    };
}

hold_an_account!(CreateAccountRequest, UpdateAccountRequest);
name_an_account!(GetAccountRequest, GetInstanceRequest, ListInstancesRequest);
name_an_account!(CreateAccessKeyRequest, ListAccessKeysRequest);
name_a_key!(DisableAccessKeyRequest, EnableAccessKeyRequest, DeleteAccessKeyRequest);
name_a_key!(IssueSecurityTokenRequest);
name_an_account!(ListChargeTypeChangesRequest);
name_an_account!(ListOperationLocksRequest, ListAuditRecordsRequest);
name_an_account!(ListEventsRequest, WatchEventsRequest);

/// Implements [`Names`] for requests about a lock.
macro_rules! name_a_lock {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn account_id(&self) -> Option<i64> {
                Some(self.account_id)
            }

            fn resource(&self) -> String {
                lock_resource(product_name(self.product), &self.reason)
            }
        })*
    };
}

name_a_lock!(LockRequest, UnlockRequest);

impl Names for wire::ScheduleChargeTypeChangeRequest {
    fn account_id(&self) -> Option<i64> {
        Some(self.account_id)
    }

    fn resource(&self) -> String {
        product_name(self.product).to_owned()
    }
}

impl Names for wire::CancelChargeTypeChangeRequest {
    fn account_id(&self) -> Option<i64> {
        Some(self.account_id)
    }

    fn resource(&self) -> String {
        self.change_id.clone()
    }
}

/// The request names no account, because it lists all of them.
impl Names for wire::ListAccountsRequest {}
