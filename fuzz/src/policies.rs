//! Policies, in comparison with a reader and an evaluator that are written over JSON values.

use cdn_activation::domain::AccountId;
use cdn_activation::domain::policy::{Permission, Policy};
use serde_json::Value;

const ACTIONS: [&str; 4] =
    ["cdn:OpenCdnService", "cdn:DescribeCdnService", "dcdn:OpenDcdnService", "cdn:a"];
const ACCOUNTS: [i64; 3] = [1, 1234, i64::MAX];

/// A document. It is read if and only if it is a policy, and decides as it says.
pub fn policies(data: &[u8]) {
    let Ok(document) = std::str::from_utf8(data) else { return };
    let read = Policy::parse(document);
    let Some(statements) = statements(document) else {
        assert!(read.is_err(), "{document}");
        return;
    };
    let policy = read.expect(document);
    for action in ACTIONS {
        for account in ACCOUNTS {
            let decided = policy.decide(action, AccountId::new(account).expect("positive"));
            let expected = decision(&statements, action, account);
            assert_eq!(decided, expected, "{document} {action} {account}");
        }
    }
}

/// Returns the statements of a document; `None` if it is not a policy.
fn statements(document: &str) -> Option<Vec<Value>> {
    let value: Value = serde_json::from_str(document).ok()?;
    // The parsed value has the last of several members of the same name.
    let is_strict = document.len() <= 6144 && colons(document) == members(&value);
    let policy = object_of(&value, ["Statement", "Version"]).filter(|_| is_strict)?;
    let ([statements, version], mut read) = (policy, Vec::new());
    if version.as_str() != Some("1") {
        return None;
    }
    for statement in listed(statements) {
        let [action, effect, resource] = object_of(statement, ["Action", "Effect", "Resource"])?;
        let effect = effect.as_str().is_some_and(|effect| effect == "Allow" || effect == "Deny");
        let patterns_are = |list: &Value, is_pattern: fn(&str) -> bool| {
            !listed(list).is_empty()
                && listed(list).iter().all(|pattern| pattern.as_str().is_some_and(is_pattern))
        };
        if !effect || !patterns_are(action, is_action) || !patterns_are(resource, is_resource) {
            return None;
        }
        read.push(statement.clone());
    }
    Some(read)
}

/// Counts the colons outside of texts. Each belongs to a member of an object.
fn colons(json: &str) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (0, false, false);
    for character in json.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_text,
            '"' => in_text = !in_text,
            ':' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Returns the members of an object that has these, in the order of their names, and no other.
fn object_of<'a, const N: usize>(value: &'a Value, names: [&str; N]) -> Option<[&'a Value; N]> {
    let object = value.as_object().filter(|object| object.len() == N)?;
    let mut found = [value; N];
    for (slot, name) in found.iter_mut().zip(names) {
        *slot = object.get(name)?;
    }
    Some(found)
}

fn listed(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn consists_of(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '*' || more.contains(c))
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn is_action(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    text == "*" || (parts.len() == 2 && parts.iter().all(|part| consists_of(part, LETTERS)))
}

fn is_resource(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(5, ':').collect();
    let [acs, product, region, account, relative] = parts[..] else { return text == "*" };
    let names = format!("{LETTERS}-");
    let is_visible = |c: char| ('!'..='~').contains(&c) && c != '?';
    acs == "acs"
        && consists_of(product, &names)
        && consists_of(region, &names)
        && consists_of(account, "0123456789")
        && !relative.is_empty()
        && relative.chars().all(is_visible)
}

fn decision(statements: &[Value], action: &str, account: i64) -> Permission {
    let (product, account) = (action.split(':').next().unwrap_or_default(), account.to_string());
    let matching = statements.iter().filter(|statement| {
        let about_action = |pattern: &Value| matches(pattern.as_str().unwrap_or("-"), action);
        let about_resource = |pattern: &Value| {
            let pattern = pattern.as_str().unwrap_or("-");
            let parts = pattern.splitn(5, ':').skip(1).zip([product, "*", &account, "*"]);
            pattern == "*" || parts.into_iter().all(|(pattern, part)| matches(pattern, part))
        };
        listed(&statement["Action"]).iter().any(about_action)
            && listed(&statement["Resource"]).iter().any(about_resource)
    });
    let effects: Vec<_> = matching.map(|statement| &statement["Effect"]).collect();
    match effects.iter().any(|effect| *effect == "Deny") {
        true => Permission::DeniedExplicitly,
        false if effects.is_empty() => Permission::DeniedImplicitly,
        false => Permission::Allowed,
    }
}

/// Matches by a table: which ends of the text each beginning of the pattern can reach.
fn matches(pattern: &str, text: &str) -> bool {
    let text = text.as_bytes();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for byte in pattern.bytes() {
        if byte == b'*' {
            let first = reached.iter().position(|is_reached| *is_reached);
            let first = first.unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            let step =
                |at: usize| at > 0 && reached[at - 1] && text[at - 1].eq_ignore_ascii_case(&byte);
            reached = (0..=text.len()).map(step).collect();
        }
    }
    reached[text.len()]
}
