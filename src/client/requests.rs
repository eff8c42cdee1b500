//! The requests of a client, each with its method, its reply, and whether it may be repeated.

use prost::Message;

use crate::proto::{cdn::v1 as cdn, dcdn::v1 as dcdn, operator::v1 as operator};

/// When a call that was not answered is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing: always.
    Read,
    /// It has a request id, by which the service knows a repetition: always.
    WithRequestId,
    /// It changes something and has no request id: only if it was not sent.
    IfNotSent,
}

/// A request that gets one reply.
pub trait UnaryRequest: Message + Clone + 'static {
    /// The reply.
    type Reply: Message + Default + 'static;
    /// The path of the method in HTTP/2.
    const PATH: &'static str;
    /// When it is repeated.
    const REPEAT: Repeat;

    /// Returns the request id, if the request has such a field.
    fn request_id_mut(&mut self) -> Option<&mut String> {
        None
    }
}

/// A request of an operator.
pub trait OperatorRequest: UnaryRequest {}

/// A request of an account.
pub trait AccountRequest: UnaryRequest {}

macro_rules! requests {
    ($($who:ident $service:literal { $($repeat:ident $method:literal $request:ty => $reply:ty;)* })*) => {
        $($(
            impl UnaryRequest for $request {
                type Reply = $reply;
                const PATH: &'static str = concat!("/", $service, "/", $method);
                const REPEAT: Repeat = Repeat::$repeat;
                requests!(@id $repeat);
            }
            impl $who for $request {}
        )*)*

        /// The path of each method, and when a call of it is repeated.
        #[cfg(test)]
        const ALL: &[(&str, Repeat)] =
            &[$($((<$request>::PATH, <$request>::REPEAT),)*)*];
    };
    (@id WithRequestId) => {
        fn request_id_mut(&mut self) -> Option<&mut String> {
            Some(&mut self.request_id)
        }
    };
    (@id $other:ident) => {};
}

requests! {
    AccountRequest "activation.cdn.v1.CdnService" {
        IfNotSent "OpenCdnService" cdn::OpenCdnServiceRequest => cdn::OpenCdnServiceResponse;
        Read "DescribeCdnService" cdn::DescribeCdnServiceRequest => cdn::DescribeCdnServiceResponse;
        IfNotSent "ModifyCdnService" cdn::ModifyCdnServiceRequest => cdn::ModifyCdnServiceResponse;
        Read "DescribeUserCdnStatus" cdn::DescribeUserCdnStatusRequest => cdn::DescribeUserCdnStatusResponse;
        Read "DescribeCdnUserBillType" cdn::DescribeCdnUserBillTypeRequest => cdn::DescribeCdnUserBillTypeResponse;
    }
    AccountRequest "activation.dcdn.v1.DcdnService" {
        IfNotSent "OpenDcdnService" dcdn::OpenDcdnServiceRequest => dcdn::OpenDcdnServiceResponse;
        Read "DescribeDcdnService" dcdn::DescribeDcdnServiceRequest => dcdn::DescribeDcdnServiceResponse;
        Read "DescribeUserDcdnStatus" dcdn::DescribeUserDcdnStatusRequest => dcdn::DescribeUserDcdnStatusResponse;
        Read "DescribeDcdnUserBillType" dcdn::DescribeDcdnUserBillTypeRequest => dcdn::DescribeDcdnUserBillTypeResponse;
    }
    OperatorRequest "activation.operator.v1.AccountService" {
        WithRequestId "CreateAccount" operator::CreateAccountRequest => operator::CreateAccountResponse;
        Read "GetAccount" operator::GetAccountRequest => operator::GetAccountResponse;
        WithRequestId "UpdateAccount" operator::UpdateAccountRequest => operator::UpdateAccountResponse;
        Read "ListAccounts" operator::ListAccountsRequest => operator::ListAccountsResponse;
    }
    OperatorRequest "activation.operator.v1.AccessKeyService" {
        WithRequestId "CreateAccessKey" operator::CreateAccessKeyRequest => operator::CreateAccessKeyResponse;
        WithRequestId "DisableAccessKey" operator::DisableAccessKeyRequest => operator::DisableAccessKeyResponse;
        WithRequestId "EnableAccessKey" operator::EnableAccessKeyRequest => operator::EnableAccessKeyResponse;
        WithRequestId "DeleteAccessKey" operator::DeleteAccessKeyRequest => operator::DeleteAccessKeyResponse;
        Read "ListAccessKeys" operator::ListAccessKeysRequest => operator::ListAccessKeysResponse;
        IfNotSent "IssueSecurityToken" operator::IssueSecurityTokenRequest => operator::IssueSecurityTokenResponse;
    }
    OperatorRequest "activation.operator.v1.AuditService" {
        Read "ListAuditRecords" operator::ListAuditRecordsRequest => operator::ListAuditRecordsResponse;
    }
    OperatorRequest "activation.operator.v1.ChargeTypeChangeService" {
        WithRequestId "ScheduleChargeTypeChange" operator::ScheduleChargeTypeChangeRequest => operator::ScheduleChargeTypeChangeResponse;
        WithRequestId "CancelChargeTypeChange" operator::CancelChargeTypeChangeRequest => operator::CancelChargeTypeChangeResponse;
        Read "ListChargeTypeChanges" operator::ListChargeTypeChangesRequest => operator::ListChargeTypeChangesResponse;
    }
    OperatorRequest "activation.operator.v1.EventService" {
        Read "ListEvents" operator::ListEventsRequest => operator::ListEventsResponse;
    }
    OperatorRequest "activation.operator.v1.InstanceService" {
        Read "GetInstance" operator::GetInstanceRequest => operator::GetInstanceResponse;
        Read "ListInstances" operator::ListInstancesRequest => operator::ListInstancesResponse;
    }
    OperatorRequest "activation.operator.v1.OperationLockService" {
        WithRequestId "Lock" operator::LockRequest => operator::LockResponse;
        WithRequestId "Unlock" operator::UnlockRequest => operator::UnlockResponse;
        Read "ListOperationLocks" operator::ListOperationLocksRequest => operator::ListOperationLocksResponse;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::proto::{methods, path_of, writes};

    #[test]
    fn the_client_has_every_unary_method_and_repeats_what_can_be_repeated() {
        let mut expected = BTreeMap::new();
        for method in methods().filter(|method| !method.is_server_streaming()) {
            let has_request_id = method.input().get_field_by_name("request_id").is_some();
            let repeat = match (writes(method.name()), has_request_id) {
                (false, _) => "Read",
                (true, true) => "WithRequestId",
                (true, false) => "IfNotSent",
            };
            expected.insert(path_of(&method), repeat.to_owned());
        }
        let listed = ALL.iter().map(|(path, repeat)| ((*path).to_owned(), format!("{repeat:?}")));
        assert_eq!(listed.clone().count(), expected.len(), "each method once");
        assert_eq!(listed.collect::<BTreeMap<_, _>>(), expected);
    }
}
