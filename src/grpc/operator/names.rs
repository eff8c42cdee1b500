//! The account and the access key that an operator's request names, for the log line of the call.

use crate::proto::operator::v1 as wire;

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
name_an_account!(ScheduleChargeTypeChangeRequest, CancelChargeTypeChangeRequest);
name_an_account!(ListChargeTypeChangesRequest);
name_an_account!(LockRequest, UnlockRequest, ListOperationLocksRequest);
name_an_account!(ListEventsRequest, WatchEventsRequest);

/// The request names no account, because it lists all of them.
impl Names for wire::ListAccountsRequest {}
