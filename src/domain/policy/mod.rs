//! Policies: JSON documents that say which actions an access key may call, in the terms of the
//! vendor's Resource Access Management.
//!
//! Statements allow or deny actions ("dcdn:Describe*") on resources ("acs:cdn:*:ACCOUNT:*"). A
//! denial wins, and an action that is not allowed is denied. A document with an element that the
//! evaluator does not know is refused: to ignore a condition would allow too much.

mod document;
mod json;
mod pattern;

use std::sync::{Arc, LazyLock};

use document::{Effect, Statement};
use pattern::Asked;

use super::AccountId;

/// The policy of a key that was created without one.
pub const EVERYTHING: &str =
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// The same policy, parsed once. Nearly every key has it, and not all keys in use are kept ready.
static EVERYTHING_READ: LazyLock<Policy> =
    LazyLock::new(|| Policy::read(EVERYTHING).expect("a test parses it"));

/// A parsed policy document. Clones share it.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Arc<[Statement]>,
}

/// What a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// A statement allows the action and none denies it.
    Allowed,
    /// A statement denies the action.
    DeniedExplicitly,
    /// No statement is about the action.
    DeniedImplicitly,
}

impl Policy {
    /// Parses a document. The error is a sentence that says what is wrong with it.
    pub fn parse(document: &str) -> Result<Self, String> {
        if document == EVERYTHING { Ok(EVERYTHING_READ.clone()) } else { Self::read(document) }
    }

    /// Returns a policy that allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { statements: Arc::default() }
    }

    fn read(document: &str) -> Result<Self, String> {
        Ok(Self { statements: document::read(document)?.into() })
    }

    /// Decides about an action, for example "cdn:OpenCdnService", on all resources that an account
    /// has of the product.
    ///
    /// A decision compares at most as many bytes as the product of the lengths of the document and
    /// of the action, or of the account id if it is longer.
    #[must_use]
    pub fn decide(&self, action: &str, account_id: AccountId) -> Permission {
        let asked = Asked::new(action, account_id);
        let mut permission = Permission::DeniedImplicitly;
        for statement in self.statements.iter().filter(|statement| statement.is_about(&asked)) {
            match statement.effect {
                Effect::Allow => permission = Permission::Allowed,
                Effect::Deny => return Permission::DeniedExplicitly,
            }
        }
        permission
    }
}

impl Statement {
    fn is_about(&self, asked: &Asked<'_>) -> bool {
        self.actions.iter().any(|pattern| pattern.matches(asked.action))
            && self.resources.iter().any(|pattern| pattern.matches(asked))
    }
}

#[cfg(test)]
mod tests;
