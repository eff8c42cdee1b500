//! The evaluator, in tables and against an independent one that is written over JSON values.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const OPEN: &str = "cdn:OpenCdnService";
const DESCRIBE: &str = "cdn:DescribeCdnService";

fn account() -> AccountId {
    AccountId::new(1234).unwrap()
}

fn decide(document: &str, action: &str) -> Permission {
    Policy::parse(document).expect(document).decide(action, account())
}

fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":{action},"Resource":{resource}}}"#)
}

fn document(statements: &str) -> String {
    format!(r#"{{"Version":"1","Statement":{statements}}}"#)
}

#[test]
fn an_action_that_is_not_allowed_is_denied_and_a_denial_wins() {
    use Permission::{Allowed, DeniedExplicitly, DeniedImplicitly};
    let all = r#""*""#;
    let allow = statement("Allow", all, all);
    let deny_open = statement("Deny", r#""*:Open*""#, all);
    let describe = statement("Allow", r#"["cdn:Describe*","dcdn:Describe*"]"#, all);
    let mine = statement("Allow", all, r#"["acs:dcdn:*:1234:*","acs:cdn:*:1234:*"]"#);
    let of_others = statement("Allow", all, r#""acs:cdn:*:4321:*""#);
    let never_mine = statement("Deny", all, r#""acs:cdn:*:1234:*""#);
    let never_others = statement("Deny", all, r#""acs:cdn:*:4321:*""#);
    for (statements, open, describe) in [
        (allow.clone(), Allowed, Allowed),
        (describe.clone(), DeniedImplicitly, Allowed),
        ("[]".to_owned(), DeniedImplicitly, DeniedImplicitly),
        (format!("[{allow},{deny_open}]"), DeniedExplicitly, Allowed),
        (format!("[{deny_open},{allow}]"), DeniedExplicitly, Allowed),
        (deny_open.clone(), DeniedExplicitly, DeniedImplicitly),
        (format!("[{describe},{deny_open}]"), DeniedExplicitly, Allowed),
        (mine, Allowed, Allowed),
        (of_others, DeniedImplicitly, DeniedImplicitly),
        (format!("[{allow},{never_mine}]"), DeniedExplicitly, DeniedExplicitly),
        (format!("[{allow},{never_others}]"), Allowed, Allowed),
    ] {
        let document = document(&statements);
        assert_eq!(decide(&document, OPEN), open, "{document}");
        assert_eq!(decide(&document, DESCRIBE), describe, "{document}");
    }
    assert_eq!(decide(EVERYTHING, OPEN), Allowed);
    assert_eq!(Policy::nothing().decide(OPEN, account()), DeniedImplicitly);
}

#[test]
fn the_resource_that_is_asked_for_is_of_the_product_of_the_action() {
    let cdn = document(&statement("Allow", r#""*""#, r#""acs:cdn:*:*:*""#));
    assert_eq!(decide(&cdn, OPEN), Permission::Allowed);
    assert_eq!(decide(&cdn, "dcdn:OpenDcdnService"), Permission::DeniedImplicitly);
}

#[test]
fn a_document_with_an_unknown_element_is_refused() {
    let good = r#""Effect":"Deny","Action":"*","Resource":"*""#;
    for (statement, sentence) in [
        (r#""Action":"*","Resource":"*""#, "has no Effect"),
        (r#""Effect":"Deny","Resource":"*""#, "has no Action"),
        (r#""Effect":"Deny","Action":"*""#, "has no Resource"),
        (r#""Effect":"allow","Action":"*","Resource":"*""#, "Effect of a statement is not"),
        (r#""Effect":{"Allow":"*"},"Action":"*","Resource":"*""#, "Effect of a statement is not"),
        (r#""effect":"Deny","Action":"*","Resource":"*""#, r#"has the element "effect""#),
        (r#""Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*""#, "occurs twice"),
        (r#""Effect":"Deny","\u0045ffect":"Allow","Action":"*","Resource":"*""#, "occurs twice"),
        (r#""Effect":"Deny","Action":"*","Action":"cdn:*","Resource":"*""#, "occurs twice"),
        (r#""Effect":"Deny","NotAction":"*","Resource":"*""#, "NotAction is not supported"),
        (r#""Effect":"Deny","Action":"*","NotResource":"*""#, "NotResource is not supported"),
        (r#""Effect":"Deny","Principal":"*","Action":"*""#, "Principal is not supported"),
        (r#""Condition":{},"Effect":"Deny","Action":"*""#, "Condition is not supported"),
        (r#""Effect":"Deny","Action":"*","Resource":"*","Sid":"1""#, r#"has the element "Sid""#),
        (r#""Effect":"Deny","Action":"*","Resource":"acs:cdn:*:1""#, "is not a Resource"),
        (r#""Effect":"Deny","Action":"*","Resource":["*","a"]"#, "\"a\" is not a Resource"),
        (r#""Effect":"Deny","Action":"*","Resource":[]"#, "is not a Resource"),
        (r#""Effect":"Deny","Action":"*","Resource":["*",["*"]]"#, "is not a Resource"),
        (r#""Effect":"Deny","Action":[],"Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":[1],"Resource":"*""#, "cannot be read"),
        (r#""Effect":"Deny","Action":{},"Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":"cdn:Open?","Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":"cdn:Open Service","Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":"OpenCdnService","Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":"cdn:Open:Service","Resource":"*""#, "is not an Action"),
        (r#""Effect":"Deny","Action":"","Resource":"*""#, "is not an Action"),
    ] {
        let document = document(&format!("[{{{statement}}}]"));
        let wrong = Policy::parse(&document).expect_err(&document);
        assert!(wrong.contains(sentence), "{document}: {wrong}");
    }
    assert!(Policy::parse(&document(&format!("{{{good}}}"))).is_ok());
    for (document, sentence) in [
        ("", "cannot be read"),
        ("[]", "the policy is not an object"),
        (r#"["1",[]]"#, "the policy is not an object"),
        ("{}", "the policy has no Version"),
        (r#"{"Statement":[]}"#, "the policy has no Version"),
        (r#"{"Version":1,"Statement":[]}"#, "cannot be read"),
        (r#"{"Version":["1"],"Statement":[]}"#, "Version of the policy is not"),
        (r#"{"Version":"2","Statement":[]}"#, "Version of the policy is not"),
        (r#"{"Version":"1"}"#, "the policy has no Statement"),
        (r#"{"Version":"1","Statement":[["Allow","*","*"]]}"#, "is not an object"),
        (r#"{"Version":"1","Version":"1","Statement":[]}"#, "occurs twice"),
        (r#"{"Version":"1","Statement":[],"Id":"1"}"#, r#"has the element "Id""#),
        (r#"{"Version":"1","Statement":[],"Condition":{}}"#, "Condition is not supported"),
        (r#"{"version":"1","Statement":[]}"#, r#"has the element "version""#),
        (r#"{"Version":"1","Statement":[]} more"#, "trailing characters"),
        (r#"{"Version":"1","Statement":[],}"#, "cannot be read"),
    ] {
        let wrong = Policy::parse(document).expect_err(document);
        assert!(wrong.contains(sentence), "{document}: {wrong}");
    }
}

#[test]
fn a_document_has_at_most_6_kib() {
    let longest = document("[]") + &" ".repeat(6144 - document("[]").len());
    assert!(Policy::parse(&longest).is_ok());
    let wrong = Policy::parse(&(longest + " ")).unwrap_err();
    assert_eq!(wrong, "the policy is longer than 6144 bytes");
    let deep = "[".repeat(6000);
    assert!(Policy::parse(&deep).unwrap_err().contains("recursion limit"));
}

/// An evaluator over the parsed value of a document that is known to be one. It tries each way in
/// which a star can match.
fn naive(document: &str, action: &str, account_id: i64) -> Permission {
    let product = action.split(':').next().unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let resource = format!("acs:{product}:*:{account_id}:*");
    let listed = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    let effects: Vec<String> = listed(&document["Statement"])
        .iter()
        .filter(|statement| {
            let action_matches = |pattern: &Value| naive_match(pattern.as_str().unwrap(), action);
            let resource_matches = |pattern: &Value| {
                let pattern = pattern.as_str().unwrap();
                pattern == "*"
                    || (pattern.split(':').count() == 5
                        && pattern
                            .split(':')
                            .zip(resource.split(':'))
                            .all(|(pattern, part)| naive_match(pattern, part)))
            };
            listed(&statement["Action"]).iter().any(action_matches)
                && listed(&statement["Resource"]).iter().any(resource_matches)
        })
        .map(|statement| statement["Effect"].as_str().unwrap().to_owned())
        .collect();
    match effects.iter().any(|effect| effect == "Deny") {
        true => Permission::DeniedExplicitly,
        false if effects.is_empty() => Permission::DeniedImplicitly,
        false => Permission::Allowed,
    }
}

fn naive_match(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            naive_match(&pattern[1..], text)
                || (!text.is_empty() && naive_match(pattern, &text[1..]))
        }
        (Some(left), Some(right)) if left.eq_ignore_ascii_case(&right) => {
            naive_match(&pattern[1..], &text[1..])
        }
        _ => false,
    }
}

fn one_or_more(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    prop_oneof![
        value.clone().prop_map(|one| format!("{one:?}")),
        prop::collection::vec(value, 1..4).prop_map(|some| format!("{some:?}")),
    ]
}

fn statements() -> impl Strategy<Value = String> {
    let action = prop_oneof!["\\*", "[cdD*]{1,4}:[a-cA-C*]{1,6}"];
    let resource = prop_oneof!["\\*", "acs:[cdn*]{1,4}:[c*-]{1,2}:[12*]{1,4}:[*/d]{1,2}"];
    let statement = ("Allow|Deny", one_or_more(action), one_or_more(resource))
        .prop_map(|(effect, action, resource)| statement(&effect, &action, &resource));
    prop::collection::vec(statement, 0..4).prop_map(|all| format!("[{}]", all.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_decision_is_that_of_a_naive_evaluator(
        statements in statements(),
        action in "(cdn|dcdn|c|cd):[a-c]{0,8}",
        account in prop_oneof![1i64..300, 1100i64..1300],
    ) {
        let document = document(&statements);
        let decided = Policy::parse(&document).unwrap().decide(&action, AccountId::new(account).unwrap());
        prop_assert_eq!(decided, naive(&document, &action, account), "{} {}", document, action);
    }
}
