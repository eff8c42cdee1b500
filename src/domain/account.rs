//! Accounts, products, and the facts of an account that decisions read.

use super::instance::Instance;
use super::time::Time;

/// Id of an account: a positive 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(i64);

impl AccountId {
    /// Returns the id if the number is positive.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Parses decimal digits. Returns `None` for anything that is not a positive 64-bit number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // `i64::from_str` also accepts a leading plus sign.
        text.as_bytes().first()?.is_ascii_digit().then(|| text.parse().ok().and_then(Self::new))?
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What an account opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// Content delivery network.
    Cdn,
    /// Dynamic route for CDN.
    Dcdn,
}

impl Product {
    /// Every product.
    pub const ALL: [Self; 2] = [Self::Cdn, Self::Dcdn];

    /// Returns the product of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// Returns the name in storage and in permission policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cdn => "cdn",
            Self::Dcdn => "dcdn",
        }
    }
}

/// The site that an account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The domestic site.
    Domestic,
    /// The international site.
    Intl,
}

impl Site {
    /// Returns the name in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Domestic => "domestic",
            Self::Intl => "intl",
        }
    }
}

/// What an operator states about an account: one field for each rule of the opening table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The site that the account belongs to.
    pub site: Site,
    /// An account of the international site may open in spite of its site.
    pub intl_allowed: bool,
    /// A bid user may not open by itself.
    pub bid_user: bool,
    /// Real-name authentication has been passed.
    pub real_name_verified: bool,
    /// The user profile is complete.
    pub profile_complete: bool,
    /// There is a valid payment method.
    pub payment_method_valid: bool,
    /// Balance in minor units of the currency.
    pub balance: i64,
    /// The commerce system accepts no orders of this account.
    pub orders_refused: bool,
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub account_id: AccountId,
    /// What an operator states about it.
    pub profile: Profile,
    /// Its version, which rises with every change.
    pub version: i64,
    /// When it was created.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
}

/// The part of the stored state that a decision about an account and a product reads.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The account.
    pub account: Account,
    /// Its instance of the product, if it has opened it.
    pub instance: Option<Instance>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_a_positive_64_bit_number() {
        assert_eq!(
            AccountId::parse("1000000000000001").map(AccountId::get),
            Some(1_000_000_000_000_001)
        );
        assert_eq!(AccountId::parse("9223372036854775807").map(AccountId::get), Some(i64::MAX));
        for wrong in ["", "0", "-1", "+1", " 1", "1 ", "1.0", "abc", "9223372036854775808", "１"] {
            assert_eq!(AccountId::parse(wrong), None, "{wrong}");
        }
    }
}
