//! Denials: why a policy does not allow an action, in the terms of the vendor's `AccessDeniedDetail`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::{AccountId, Time};
use crate::ids::RequestId;

/// The first bytes of a diagnostic message.
const DIAGNOSTIC_HEADER: [u8; 6] = [1, 1, 0, 0, 0, 0];

/// What is told of a denial: its key in the metadata of `ErrorInfo`, and its name in
/// `AccessDeniedDetail`.
pub const TOLD: [(&str, &str); 7] = [
    ("policy_type", "PolicyType"),
    ("auth_principal_owner_id", "AuthPrincipalOwnerId"),
    ("encoded_diagnostic_message", "EncodedDiagnosticMessage"),
    ("auth_principal_type", "AuthPrincipalType"),
    ("auth_principal_display_name", "AuthPrincipalDisplayName"),
    ("no_permission_type", "NoPermissionType"),
    ("auth_action", "AuthAction"),
];

/// An action that a policy does not allow.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The action, for example "cdn:OpenCdnService".
    pub action: Box<str>,
    /// The account of the access key.
    pub account_id: AccountId,
    /// The access key.
    pub access_key_id: Box<str>,
    /// The kind of the access key.
    pub principal: PrincipalType,
    /// The policy that does not allow the action.
    pub policy: PolicyType,
    /// A statement denies the action. Otherwise no statement allows it.
    pub is_explicit: bool,
    /// When the action was denied.
    pub at: Time,
}

/// The kind of an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalType {
    /// A permanent key.
    SubUser,
    /// A temporary key.
    AssumedRoleUser,
}

/// The kind of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// The policy of the access key.
    AccountLevelIdentityBasedPolicy,
    /// The policy that a temporary key was issued with.
    SessionPolicy,
}

impl PrincipalType {
    /// Returns the type of a temporary key, or of a permanent one.
    #[must_use]
    pub fn of(is_temporary: bool) -> Self {
        if is_temporary { Self::AssumedRoleUser } else { Self::SubUser }
    }
}

impl Denial {
    /// Returns an example, for descriptions of the error.
    ///
    /// # Panics
    ///
    /// Never: 1 is the id of an account.
    #[must_use]
    pub fn example() -> Self {
        Self {
            action: "cdn:OpenCdnService".into(),
            account_id: AccountId::new(1).expect("a positive number"),
            access_key_id: "LTAIexample".into(),
            principal: PrincipalType::SubUser,
            policy: PolicyType::AccountLevelIdentityBasedPolicy,
            is_explicit: false,
            at: Time::UNIX_EPOCH,
        }
    }

    /// Returns the values of [`TOLD`], in the same order.
    pub(super) fn told(&self, request_id: &RequestId) -> [String; TOLD.len()] {
        // Each variant has the name of its value.
        let no_permission = if self.is_explicit { "ExplicitDeny" } else { "ImplicitDeny" };
        [
            format!("{:?}", self.policy),
            self.account_id.to_string(),
            self.diagnostic_message(request_id),
            format!("{:?}", self.principal),
            self.access_key_id.to_string(),
            no_permission.to_owned(),
            self.action.to_string(),
        ]
    }

    /// Returns the vendor's encoded message: a header, the time in seconds, and the request id.
    fn diagnostic_message(&self, request_id: &RequestId) -> String {
        let seconds = u32::try_from(self.at.timestamp()).unwrap_or_default();
        let time = seconds.to_be_bytes();
        let request_id = request_id.as_str().as_bytes();
        STANDARD.encode([DIAGNOSTIC_HEADER.as_slice(), time.as_slice(), request_id].concat())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_diagnostic_message_has_the_time_and_the_request_id() {
        let at = Time::from_timestamp(0x6500_0001, 0).unwrap();
        let denial = Denial { at, ..Denial::example() };
        let message = denial.diagnostic_message(&RequestId::from(Uuid::nil()));
        // printf '\1\1\0\0\0\0\x65\0\0\1%s' 00000000-0000-0000-0000-000000000000 | base64 -w0
        let expected = "AQEAAAAAZQAAATAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMA==";
        assert_eq!(message, expected);
    }
}
