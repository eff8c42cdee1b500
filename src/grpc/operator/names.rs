//! What the requests of operators name: the account, and the access key where there is one. For the
//! log lines of their calls.

use crate::proto::operator::v1 as wire;

/// A request that may name an account or an access key.
pub(in crate::grpc) trait Names {
    /// The account that it names, unread; 0 where the field is not set.
    fn account_id(&self) -> Option<i64> {
        None
    }

    /// The access key that it names, unread.
    fn access_key_id(&self) -> Option<&str> {
        None
    }
}

/// Requests with a field `account_id`.
macro_rules! name_an_account {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn account_id(&self) -> Option<i64> {
                Some(self.account_id)
            }
        })*
    };
}

/// Requests with an account in a field `account`.
macro_rules! hold_an_account {
    ($($request:ident),*) => {
        $(impl Names for wire::$request {
            fn account_id(&self) -> Option<i64> {
                self.account.as_ref().map(|account| account.account_id)
            }
        })*
    };
}

/// Requests with a field `access_key_id`.
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

/// All accounts.
impl Names for wire::ListAccountsRequest {}
