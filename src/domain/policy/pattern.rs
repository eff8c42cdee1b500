//! Patterns of actions and of resources.

use std::cell::OnceCell;

use crate::domain::AccountId;
use crate::domain::stars::{LetterCase, matches_with_stars};

/// A text in which `*` stands for any text, also for none. Letter case does not count, as in the
/// vendor's policies.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Box<str>);

/// Which resources a statement is about: all, or those whose parts match.
#[derive(Clone, Debug)]
pub(super) enum ResourcePattern {
    All,
    Parts { product: Pattern, region: Pattern, account: Pattern, relative: Pattern },
}

/// What a caller asks for: an action on all resources that its account has of a product. In a
/// policy, this is the resource `acs:PRODUCT:*:ACCOUNT:*`.
pub(super) struct Asked<'a> {
    pub(super) action: &'a str,
    account_id: AccountId,
    /// The account id in digits. Few policies name an account.
    account: OnceCell<String>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(action: &'a str, account_id: AccountId) -> Self {
        Self { action, account_id, account: OnceCell::new() }
    }

    fn product(&self) -> &'a str {
        self.action.split_once(':').map_or("", |(product, _)| product)
    }

    fn account(&self) -> &str {
        self.account.get_or_init(|| self.account_id.to_string())
    }
}

/// Region and relative part of every resource that is asked for.
const ALL: &str = "*";

impl Pattern {
    /// Reads the pattern of an action: `*`, or a product and a name joined by one colon. With other
    /// characters it would match nothing, or less than its author expects.
    pub(super) fn of_action(text: &str) -> Option<Self> {
        let is_part = |part: &str| is_part(part, |byte| byte.is_ascii_alphanumeric());
        let is_action =
            text.split_once(':').is_some_and(|(product, name)| is_part(product) && is_part(name));
        (text == ALL || is_action).then(|| Self(text.into()))
    }

    /// Returns whether a text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches_with_stars(&self.0, text, LetterCase::Ignored)
    }
}

impl ResourcePattern {
    /// Reads the pattern of a resource: `*`, or `acs:PRODUCT:REGION:ACCOUNT:RELATIVE`.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text == ALL {
            return Some(Self::All);
        }
        let mut parts = text.strip_prefix("acs:")?.splitn(4, ':');
        let mut part = |is_known: fn(u8) -> bool| {
            parts.next().filter(|part| is_part(part, is_known)).map(|part| Pattern(part.into()))
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        Some(Self::Parts {
            product: part(is_name)?,
            region: part(is_name)?,
            account: part(|byte| byte.is_ascii_digit())?,
            // A question mark is a wildcard in other products' policies, and not here.
            relative: part(|byte| byte.is_ascii_graphic() && byte != b'?')?,
        })
    }

    /// Returns whether it is about what is asked for.
    pub(super) fn matches(&self, asked: &Asked<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Parts { product, region, account, relative } => {
                product.matches(asked.product())
                    && region.matches(ALL)
                    && relative.matches(ALL)
                    && account.matches(asked.account())
            }
        }
    }
}

/// Returns whether a part of a pattern has only stars and bytes that are known.
fn is_part(part: &str, is_known: impl Fn(u8) -> bool) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte == b'*' || is_known(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_one_star_or_five_parts() {
        let account = AccountId::new(1234).unwrap();
        // A pattern, and whether it is about `acs:cdn:*:1234:*`. `None`: it is refused.
        for (pattern, expected) in [
            ("*", Some(true)),
            ("acs:cdn:*:1234:*", Some(true)),
            ("acs:CDN:*:1234:*", Some(true)),
            ("acs:*:*:*:*", Some(true)),
            ("acs:c*n:*:12*:*", Some(true)),
            ("acs:*cdn:**:*4:**", Some(true)),
            ("acs:dcdn:*:1234:*", Some(false)),
            ("acs:cdn:*:123:*", Some(false)),
            ("acs:cdn:*:12345:*", Some(false)),
            ("acs:cdn:cn-hangzhou:1234:*", Some(false)),
            ("acs:cdn:*:1234:domain/example.com", Some(false)),
            ("acs:cdn:*:1234:domain/*", Some(false)),
            ("acs:cdn:*:1234:a:b", Some(false)),
            ("", None),
            ("acs", None),
            ("acs:*", None),
            ("ACS:cdn:*:1234:*", None),
            ("arn:cdn:*:1234:*", None),
            ("acs:cdn:*:1234", None),
            ("acs:cdn:*:1234:", None),
            ("acs:cdn::1234:*", None),
            ("acs:cdn:*::*", None),
            ("acs::*:1234:*", None),
            ("acs:cdn:*:root:*", None),
            ("acs:cdn:*:1234:domain/?", None),
            ("acs:cdn:*:1234:a b", None),
            ("acs:cdn:*:1234:ä", None),
            ("**", None),
        ] {
            let resource = ResourcePattern::new(pattern);
            let asked = Asked::new("cdn:OpenCdnService", account);
            assert_eq!(resource.map(|resource| resource.matches(&asked)), expected, "{pattern}");
        }
    }
}
