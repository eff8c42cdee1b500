//! Who calls over gRPC, and what it is granted. What is not granted is refused.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::AccountId;

/// How many calls an identity may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRate {
    /// Calls in a second, on average.
    pub calls_per_second: NonZeroU32,
    /// Calls at once. `None` leaves it to the quotas.
    pub burst: Option<NonZeroU32>,
}

/// What an identity is granted. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The paths of the methods that it may call, `/activation.cdn.v1.CdnService/OpenCdnService`
    /// for example.
    pub methods: HashSet<String>,
    /// The accounts that it may act for. `None` means all.
    pub accounts: Option<HashSet<AccountId>>,
    /// How many calls it may make, if that is limited.
    pub rate: Option<CallRate>,
}

/// A calling service, by the name that its token or its certificate proves.
#[derive(Debug)]
pub struct Identity {
    name: Arc<str>,
    grants: Grants,
}

impl Identity {
    /// Returns an identity with these grants.
    #[must_use]
    pub fn new(name: &str, grants: Grants) -> Self {
        Self { name: name.into(), grants }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns whether it may call the method at this path.
    #[must_use]
    pub fn may_call(&self, path: &str) -> bool {
        self.grants.methods.contains(path)
    }

    /// Returns whether it may act for this account, which need not exist.
    #[must_use]
    pub fn may_act_for(&self, account_id: AccountId) -> bool {
        self.grants.accounts.as_ref().is_none_or(|accounts| accounts.contains(&account_id))
    }

    /// Returns whether it may act for some accounts only. Such an identity must not learn whether
    /// any other account exists.
    #[must_use]
    pub fn is_limited_to_accounts(&self) -> bool {
        self.grants.accounts.is_some()
    }

    /// Returns how many calls it may make, if that is limited.
    #[must_use]
    pub fn rate(&self) -> Option<CallRate> {
        self.grants.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_nothing_and_no_list_of_accounts_is_every_account() {
        let account = |number| AccountId::new(number).unwrap();
        let nothing = Identity::new("a", Grants::default());
        assert!(!nothing.may_call("/a.B/C") && nothing.may_act_for(account(1)));
        let grants = Grants {
            methods: ["/a.B/C".to_owned()].into(),
            accounts: Some([account(1)].into()),
            rate: None,
        };
        let limited = Identity::new("b", grants);
        assert!(limited.may_call("/a.B/C") && !limited.may_call("/a.B/"));
        assert!(limited.may_act_for(account(1)) && !limited.may_act_for(account(2)));
        assert!(limited.is_limited_to_accounts() && !nothing.is_limited_to_accounts());
    }
}
