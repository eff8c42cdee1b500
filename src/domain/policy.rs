//! Policies: JSON documents that say which actions an access key may call, in the format of the
//! vendor's Resource Access Management.
//!
//! Statements allow or deny actions ("dcdn:Describe*"). A denial wins, and an action that is not
//! allowed is denied. A document with an element that the evaluator does not know is refused: to
//! ignore a condition would allow too much.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// The policy of a key that was created without one.
pub const EVERYTHING: &str =
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// The same policy, parsed once. Nearly every key has it, and not all keys in use are kept ready.
static EVERYTHING_READ: LazyLock<Policy> =
    LazyLock::new(|| Policy::read(EVERYTHING).expect("a test parses it"));

/// Largest length of a policy document, in bytes.
const LONGEST: usize = 6 * 1024;

/// A parsed policy document. Clones share it.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Arc<[Statement]>,
}

/// A document in its JSON form. An element that is not listed here, or that occurs twice, is
/// refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    statement: OneOrMore<Statement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    effect: Effect,
    action: OneOrMore<String>,
    resource: OneOrMore<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
struct OneOrMore<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("one value or a list")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
                Ok(OneOrMore(vec![T::deserialize(StrDeserializer::new(text))?]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore<T>, A::Error> {
                Ok(OneOrMore(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMore(values))
            }
        }
        deserializer.deserialize_any(Values(PhantomData))
    }
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
        if document.len() > LONGEST {
            return Err(format!("the policy is longer than {LONGEST} bytes"));
        }
        let document: Document = serde_json::from_str(document)
            .map_err(|error| format!("the policy cannot be read: {error}"))?;
        if document.version != "1" {
            return Err("Version of the policy is not \"1\"".to_owned());
        }
        document.statement.0.iter().try_for_each(Statement::check)?;
        Ok(Self { statements: document.statement.0.into() })
    }

    /// Returns whether it allows an action, for example "cdn:OpenCdnService".
    #[must_use]
    pub fn allows(&self, action: &str) -> bool {
        let matching = || {
            let names =
                |statement: &&Statement| statement.action.0.iter().any(|p| matches(p, action));
            self.statements.iter().filter(names).map(|statement| statement.effect)
        };
        matching().any(|effect| effect == Effect::Allow)
            && matching().all(|effect| effect == Effect::Allow)
    }
}

impl Statement {
    fn check(&self) -> Result<(), String> {
        if self.action.0.is_empty() {
            return Err("a statement of the policy has no Action".to_owned());
        }
        if let Some(wrong) = self.action.0.iter().find(|action| !is_pattern(action)) {
            return Err(format!(
                "{wrong:?} is not an Action; expected a value such as \"cdn:Describe*\" or \"*\""
            ));
        }
        if self.resource.0 != ["*"] {
            return Err("Resource of a statement is not \"*\"".to_owned());
        }
        Ok(())
    }
}

/// Returns whether it is a pattern: a product and an action, in which `*` stands for any text, or
/// `*` alone. A pattern with other characters would match nothing, or less than its author expects.
fn is_pattern(action: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*')
    };
    action == "*"
        || action.split_once(':').is_some_and(|(product, name)| is_part(product) && is_part(name))
}

/// Returns whether a pattern, in which `*` stands for any text, matches an action. Case is ignored,
/// as in the vendor's policies.
fn matches(pattern: &str, action: &str) -> bool {
    let mut rest = action.as_bytes();
    let mut parts = pattern.as_bytes().split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    match rest.split_at_checked(first.len()) {
        Some((start, after)) if start.eq_ignore_ascii_case(first) => rest = after,
        _ => return false,
    }
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            // The last part must match the end.
            let end = rest.len().checked_sub(part.len()).map(|start| &rest[start..]);
            return end.is_some_and(|end| end.eq_ignore_ascii_case(part));
        }
        let at = (0..=rest.len()).find(|at| {
            rest[*at..].get(..part.len()).is_some_and(|here| here.eq_ignore_ascii_case(part))
        });
        match at {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(document: &str, action: &str) -> bool {
        Policy::parse(document).expect(document).allows(action)
    }

    fn statement(effect: &str, action: &str) -> String {
        format!(r#"{{"Effect":"{effect}","Action":{action},"Resource":"*"}}"#)
    }

    fn document(statements: &str) -> String {
        format!(r#"{{"Version":"1","Statement":{statements}}}"#)
    }

    #[test]
    fn an_action_that_is_not_allowed_is_denied_and_a_denial_wins() {
        let describe = document(&statement("Allow", r#"["cdn:Describe*","dcdn:Describe*"]"#));
        assert!(allows(&describe, "cdn:DescribeCdnService"));
        assert!(allows(&describe, "DCDN:describedcdnservice"));
        assert!(!allows(&describe, "cdn:OpenCdnService"));
        assert!(allows(EVERYTHING, "cdn:OpenCdnService"));
        let denied = [statement("Allow", r#""*""#), statement("Deny", r#""*:Open*""#)].join(",");
        let denied = document(&format!("[{denied}]"));
        assert!(!allows(&denied, "cdn:OpenCdnService"));
        assert!(allows(&denied, "cdn:DescribeCdnService"));
        assert!(!allows(&document("[]"), "cdn:DescribeCdnService"));
        assert!(!Policy::nothing().allows("cdn:DescribeCdnService"));
    }

    #[test]
    fn a_star_stands_for_any_text_anywhere() {
        for (pattern, action, expected) in [
            ("*", "cdn:OpenCdnService", true),
            ("cdn:*", "cdn:OpenCdnService", true),
            ("cdn:*", "dcdn:OpenDcdnService", false),
            ("*Service", "cdn:OpenCdnService", true),
            ("cdn:*Cdn*ice", "cdn:OpenCdnService", true),
            ("cdn:Open", "cdn:OpenCdnService", false),
            ("cdn:OpenCdnService", "cdn:OpenCdnService", true),
            ("cdn:OpenCdnServicee*", "cdn:OpenCdnService", false),
            ("aa*aa", "aaa", false),
            ("", "cdn:OpenCdnService", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern} {action}");
        }
    }

    #[test]
    fn a_document_with_an_unknown_element_is_refused() {
        let good = r#""Effect":"Deny","Action":"*","Resource":"*""#;
        for statement in [
            r#""Action":"*","Resource":"*""#,
            r#""Effect":"Deny","Resource":"*""#,
            r#""Effect":"Deny","Action":"*""#,
            r#""Effect":"allow","Action":"*","Resource":"*""#,
            r#""Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*""#,
            r#""Effect":"Deny","Action":"*","Action":"cdn:*","Resource":"*""#,
            r#""Effect":"Deny","NotAction":"*","Resource":"*""#,
            r#""Effect":"Deny","Action":"*","NotResource":"*""#,
            r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{}"#,
            r#""Effect":"Deny","Action":"*","Resource":"acs:cdn:*:1:domain/a""#,
            r#""Effect":"Deny","Action":"*","Resource":[]"#,
            r#""Effect":"Deny","Action":[],"Resource":"*""#,
            r#""Effect":"Deny","Action":[1],"Resource":"*""#,
            r#""Effect":"Deny","Action":"cdn:Open?","Resource":"*""#,
            r#""Effect":"Deny","Action":"cdn:Open Service","Resource":"*""#,
            r#""Effect":"Deny","Action":"OpenCdnService","Resource":"*""#,
            r#""Effect":"Deny","Action":"cdn:Open:Service","Resource":"*""#,
            r#""Effect":"Deny","Action":"","Resource":"*""#,
        ] {
            let document = document(&format!("[{{{statement}}}]"));
            assert!(Policy::parse(&document).is_err(), "{document}");
        }
        assert!(Policy::parse(&document(&format!("{{{good}}}"))).is_ok());
        for document in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Version":1,"Statement":[]}"#,
            r#"{"Version":"2","Statement":[]}"#,
            r#"{"Version":"1"}"#,
            r#"{"Version":"1","Version":"1","Statement":[]}"#,
            r#"{"Version":"1","Statement":[],"Id":"1"}"#,
            r#"{"Version":"1","Statement":[]} more"#,
        ] {
            assert!(Policy::parse(document).is_err(), "{document}");
        }
    }
}
