//! What an access key may do: a policy document in the terms of resource access management.
//!
//! Statements allow or deny actions ("dcdn:Describe*"); a denial wins, and what is not allowed is
//! denied. Elements that the evaluator does not know are refused when a document is read: ignoring
//! a condition would allow too much.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

/// The policy of a key that was created without one.
pub const EVERYTHING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*"}]}"#;

/// The same, read once: nearly every key has it, and not all keys in use are kept ready.
static EVERYTHING_READ: LazyLock<Policy> =
    LazyLock::new(|| Policy::read(EVERYTHING).expect("a test reads it"));

/// The longest policy document, in bytes.
const LONGEST: usize = 6 * 1024;

/// A policy document, read. Clones share it.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Arc<[Statement]>,
}

#[derive(Clone, Debug)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
}

impl Policy {
    /// Reads a document; the error is a sentence that says what is wrong with it.
    pub fn parse(document: &str) -> Result<Self, String> {
        if document == EVERYTHING { Ok(EVERYTHING_READ.clone()) } else { Self::read(document) }
    }

    fn read(document: &str) -> Result<Self, String> {
        if document.len() > LONGEST {
            return Err(format!("the policy is longer than {LONGEST} bytes"));
        }
        let document: Value =
            serde_json::from_str(document).map_err(|_| "the policy is not JSON")?;
        let document = document.as_object().ok_or("the policy is not an object")?;
        for name in document.keys() {
            if !["Version", "Statement"].contains(&name.as_str()) {
                return Err(format!("the policy has an unknown element {name:?}"));
            }
        }
        if document.get("Version").is_some_and(|version| version != "1") {
            return Err("Version of the policy is not \"1\"".to_owned());
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => {
                statements.iter().map(statement).collect::<Result<_, _>>()?
            }
            Some(single) => [statement(single)?].into(),
            None => return Err("the policy has no Statement".to_owned()),
        };
        Ok(Self { statements })
    }

    /// Whether it allows an action, named like "cdn:OpenCdnService".
    #[must_use]
    pub fn allows(&self, action: &str) -> bool {
        let matching = || {
            let names =
                |statement: &&Statement| statement.actions.iter().any(|p| matches(p, action));
            self.statements.iter().filter(names)
        };
        matching().any(|statement| statement.allows) && matching().all(|statement| statement.allows)
    }
}

fn statement(value: &Value) -> Result<Statement, String> {
    let statement = value.as_object().ok_or("a statement of the policy is not an object")?;
    for (name, value) in statement {
        match name.as_str() {
            "Effect" | "Action" => {}
            "Resource" if *value == "*" || *value == serde_json::json!(["*"]) => {}
            "Resource" => return Err("Resource of a statement is not \"*\"".to_owned()),
            _ => return Err(format!("a statement of the policy has an unknown element {name:?}")),
        }
    }
    let allows = match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err("Effect of a statement is neither \"Allow\" nor \"Deny\"".to_owned()),
    };
    let actions = match statement.get("Action") {
        Some(Value::String(action)) => vec![action.clone()],
        Some(Value::Array(actions)) if !actions.is_empty() => actions
            .iter()
            .map(|action| {
                action.as_str().map(str::to_owned).ok_or("an Action of a statement is not text")
            })
            .collect::<Result<_, _>>()?,
        _ => return Err("a statement of the policy has no Action".to_owned()),
    };
    Ok(Statement { allows, actions })
}

/// Whether a pattern, in which `*` stands for any text, names an action. Letter case does not
/// count, as in the vendor's policies.
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
            // The last part is anchored at the end.
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

    #[test]
    fn what_is_not_allowed_is_denied_and_a_denial_wins() {
        let describe = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["cdn:Describe*","dcdn:Describe*"],"Resource":"*"}]}"#;
        assert!(allows(describe, "cdn:DescribeCdnService"));
        assert!(allows(describe, "DCDN:describedcdnservice"));
        assert!(!allows(describe, "cdn:OpenCdnService"));
        assert!(allows(EVERYTHING, "cdn:OpenCdnService"));
        let denied = r#"{"Statement":[{"Effect":"Allow","Action":"*"},{"Effect":"Deny","Action":"*:Open*"}]}"#;
        assert!(!allows(denied, "cdn:OpenCdnService"));
        assert!(allows(denied, "cdn:DescribeCdnService"));
        assert!(!allows(r#"{"Statement":[]}"#, "cdn:DescribeCdnService"));
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
    fn a_document_with_what_the_evaluator_does_not_know_is_refused() {
        for document in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[{"Effect":"Allow"}]}"#,
            r#"{"Statement":[{"Effect":"Maybe","Action":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Condition":{}}]}"#,
            r#"{"Statement":[{"Effect":"Allow","NotAction":"*"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"acs:cdn:*:1:domain/a"}]}"#,
            r#"{"Version":"2","Statement":[]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":[]}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":[1]}]}"#,
        ] {
            assert!(Policy::parse(document).is_err(), "{document}");
        }
    }
}
