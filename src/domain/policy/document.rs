//! Reads a policy document. What the evaluator does not know is refused, because ignoring a
//! condition would allow too much.

use super::json::Json;
use super::pattern::{Pattern, ResourcePattern};

/// Largest length of a document, in bytes. It also bounds the cost of a decision.
const LONGEST: usize = 6 * 1024;

/// Elements of the vendor's policies that are not supported.
const NOT_SUPPORTED: [&str; 5] =
    ["Condition", "NotAction", "NotResource", "NotPrincipal", "Principal"];

/// A statement: the actions on the resources are allowed or denied.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) actions: Vec<Pattern>,
    pub(super) resources: Vec<ResourcePattern>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// Reads the statements of a document.
pub(super) fn read(document: &str) -> Result<Vec<Statement>, String> {
    if document.len() > LONGEST {
        return Err(format!("the policy is longer than {LONGEST} bytes"));
    }
    let document: Json = serde_json::from_str(document)
        .map_err(|error| format!("the policy cannot be read: {error}"))?;
    let [version, statements] = members(document, "the policy", ["Version", "Statement"])?;
    if version != Json::Text("1".to_owned()) {
        return Err("Version of the policy is not \"1\"".to_owned());
    }
    statements.one_or_more().into_iter().map(statement).collect()
}

fn statement(statement: Json) -> Result<Statement, String> {
    let [effect, actions, resources] =
        members(statement, "a statement of the policy", ["Effect", "Action", "Resource"])?;
    let effect = match effect {
        Json::Text(effect) if effect == "Allow" => Effect::Allow,
        Json::Text(effect) if effect == "Deny" => Effect::Deny,
        _ => return Err("Effect of a statement is not \"Allow\" or \"Deny\"".to_owned()),
    };
    let an_action = "an Action; expected a value such as \"cdn:Describe*\" or \"*\"";
    let a_resource = "a Resource; expected a value such as \"acs:cdn:*:ACCOUNT:*\" or \"*\"";
    Ok(Statement {
        effect,
        actions: patterns(actions, an_action, Pattern::of_action)?,
        resources: patterns(resources, a_resource, ResourcePattern::new)?,
    })
}

/// Takes the members of these names out of an object that has all of them and no other.
fn members<const N: usize>(json: Json, of: &str, names: [&str; N]) -> Result<[Json; N], String> {
    let Json::Object(given) = json else { return Err(format!("{of} is not an object")) };
    let mut found = [const { None }; N];
    for (name, value) in given {
        match names.iter().position(|known| *known == name) {
            Some(at) => found[at] = Some(value),
            None if NOT_SUPPORTED.contains(&&*name) => {
                return Err(format!("{name} is not supported: a policy that needs it is refused"));
            }
            None => {
                return Err(format!(
                    "{of} has the element {name:?}; expected {}",
                    names.join(", ")
                ));
            }
        }
    }
    if let Some(absent) = names.iter().zip(&found).find(|(_, value)| value.is_none()) {
        return Err(format!("{of} has no {}", absent.0));
    }
    Ok(found.map(|value| value.expect("none is absent")))
}

fn patterns<T>(json: Json, what: &str, read: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let patterns = json.one_or_more().into_iter().map(|pattern| match pattern {
        Json::Text(text) => read(&text).ok_or_else(|| format!("{text:?} is not {what}")),
        _ => Err(format!("a value that is not a text is not {what}")),
    });
    let patterns: Vec<_> = patterns.collect::<Result<_, _>>()?;
    if patterns.is_empty() {
        return Err(format!("an empty list is not {what}"));
    }
    Ok(patterns)
}
