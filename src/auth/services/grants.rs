//! The file of grants. It says in TOML what each identity may do. An unknown key, an identity that is
//! there twice and a pattern that matches no method are refused: each is a mistake, which would
//! otherwise be noticed only when a call is refused or allowed.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::patterns::MethodKind;
use super::token_file::is_service_name;
use crate::domain::{AccountId, CallRate, Grants, Identity};

/// The identities of a file, by name.
pub(super) type Identities = HashMap<String, Arc<Identity>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsFile {
    #[serde(default)]
    identity: Vec<IdentityEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    name: Spanned<String>,
    #[serde(default)]
    actions: Vec<Spanned<String>>,
    #[serde(default)]
    operators: Vec<Spanned<String>>,
    #[serde(default)]
    audit: bool,
    #[serde(default)]
    credentials: bool,
    accounts: Option<Vec<Spanned<i64>>>,
    calls_per_second: Option<NonZeroU32>,
    burst: Option<Spanned<NonZeroU32>>,
}

/// A mistake in the file.
struct WrongPlace {
    /// The byte of the file at which it is.
    at: usize,
    sentence: String,
}

fn wrong<T>(value: &Spanned<T>, sentence: impl Into<String>) -> WrongPlace {
    WrongPlace { at: value.span().start, sentence: sentence.into() }
}

/// Reads a file of grants. An error is a sentence with the number of the line.
pub(super) fn parse(text: &str) -> Result<Identities, String> {
    let read = read(text);
    read.map_err(|WrongPlace { at, sentence }| {
        let before = text.get(..at).unwrap_or(text);
        format!("line {}: {sentence}", before.matches('\n').count() + 1)
    })
}

fn read(text: &str) -> Result<Identities, WrongPlace> {
    let file: GrantsFile = toml::from_str(text).map_err(|error| WrongPlace {
        at: error.span().map_or(0, |span| span.start),
        // Only the first line, because an error is one line in the log and on standard error.
        sentence: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let mut identities = Identities::new();
    for entry in file.identity {
        let name = entry.name.get_ref();
        if !is_service_name(name) {
            return Err(wrong(
                &entry.name,
                "a name is 1 to 255 visible ASCII characters and does not begin with #",
            ));
        }
        if identities.contains_key(name) {
            return Err(wrong(&entry.name, format!("the identity {name:?} is there twice")));
        }
        let identity = Arc::new(Identity::new(name, entry.grants()?));
        identities.insert(name.clone(), identity);
    }
    Ok(identities)
}

impl IdentityEntry {
    fn grants(&self) -> Result<Grants, WrongPlace> {
        let mut methods = HashSet::new();
        add(&mut methods, MethodKind::Action, &self.actions)?;
        add(&mut methods, MethodKind::Operator, &self.operators)?;
        if self.audit {
            methods.extend(MethodKind::Audit.paths("*"));
        }
        if self.credentials {
            methods.extend(MethodKind::Credentials.paths("*"));
        }
        let accounts = self.accounts.as_ref().map(|accounts| {
            let account = |number: &Spanned<i64>| {
                let sentence = "an account id is a positive 64-bit number";
                AccountId::new(*number.get_ref()).ok_or_else(|| wrong(number, sentence))
            };
            accounts.iter().map(account).collect::<Result<_, _>>()
        });
        let burst = self.burst.as_ref();
        let rate = match (self.calls_per_second, burst) {
            (None, Some(burst)) => return Err(wrong(burst, "burst requires calls_per_second")),
            (None, None) => None,
            (Some(calls_per_second), burst) => {
                Some(CallRate { calls_per_second, burst: burst.map(|burst| *burst.get_ref()) })
            }
        };
        Ok(Grants { methods, accounts: accounts.transpose()?, rate })
    }
}

/// Adds the methods that the patterns match. Each pattern must match one.
fn add(
    methods: &mut HashSet<String>,
    kind: MethodKind,
    patterns: &[Spanned<String>],
) -> Result<(), WrongPlace> {
    for pattern in patterns {
        let mut matched = kind.paths(pattern.get_ref()).peekable();
        if matched.peek().is_none() {
            return Err(wrong(pattern, without_match(kind, pattern.get_ref())));
        }
        methods.extend(matched);
    }
    Ok(())
}

/// Returns the sentence for a pattern that matches no method of a kind. If it matches methods of
/// another kind, the sentence names the key that grants them.
fn without_match(kind: MethodKind, pattern: &str) -> String {
    if kind == MethodKind::Action {
        return format!("{pattern:?} does not match an action, such as OpenCdnService");
    }
    let matches = |kind: MethodKind| kind.paths(pattern).next().is_some();
    if matches(MethodKind::Credentials) {
        return format!("{pattern:?} returns a secret of an account; use credentials = true");
    }
    if matches(MethodKind::Audit) {
        return format!("{pattern:?} is of the audit; use audit = true");
    }
    format!("{pattern:?} does not match an operator method, such as AccountService/GetAccount")
}

/// Returns an identity that may do everything.
pub(super) fn everything(name: &str) -> Identity {
    let kinds =
        [MethodKind::Action, MethodKind::Operator, MethodKind::Audit, MethodKind::Credentials];
    let methods = kinds.into_iter().flat_map(|kind| kind.paths("*")).collect();
    Identity::new(name, Grants { methods, ..Grants::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";
    const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";
    const GET: &str = "/activation.operator.v1.AccountService/GetAccount";
    const LOCK: &str = "/activation.operator.v1.OperationLockService/Lock";
    const SECRETS: [&str; 2] = [
        "/activation.operator.v1.AccessKeyService/CreateAccessKey",
        "/activation.operator.v1.AccessKeyService/IssueSecurityToken",
    ];

    fn identity(text: &str) -> Arc<Identity> {
        Arc::clone(&parse(&format!("[[identity]]\nname = \"a\"\n{text}")).unwrap()["a"])
    }

    /// Returns whether each of four methods is granted.
    fn granted(text: &str) -> [bool; 4] {
        let identity = identity(text);
        [DESCRIBE, OPEN, GET, LOCK].map(|path| identity.may_call(path))
    }

    #[test]
    fn each_grant_covers_its_own_methods_and_the_default_is_nothing() {
        assert_eq!(granted(""), [false; 4]);
        assert_eq!(granted("actions = [\"*\"]"), [true, true, false, false]);
        assert_eq!(granted("actions = [\"Describe*\"]"), [true, false, false, false]);
        assert_eq!(granted("operators = [\"*\"]"), [false, false, true, true]);
        assert_eq!(granted("operators = [\"AccountService/*\"]"), [false, false, true, false]);
        assert_eq!(granted("audit = true"), [false; 4]);
        let all = everything("a");
        assert!([DESCRIBE, OPEN, GET, LOCK].iter().all(|path| all.may_call(path)));
    }

    #[test]
    fn only_the_grant_of_credentials_covers_the_methods_that_return_a_secret() {
        let granted = |text: &str| {
            let identity = identity(text);
            SECRETS.map(|path| identity.may_call(path))
        };
        for text in ["operators = [\"*\"]\naudit = true", "operators = [\"AccessKeyService/*\"]"] {
            assert_eq!(granted(text), [false; 2], "{text}");
        }
        assert_eq!(granted("credentials = true"), [true; 2]);
        assert_eq!(granted("credentials = false"), [false; 2]);
        assert_eq!(super::tests::granted("credentials = true"), [false; 4]);
        assert!(SECRETS.iter().all(|path| everything("a").may_call(path)));
    }

    #[test]
    fn accounts_and_the_rate_are_optional() {
        let [one, two] = [1, 2].map(|number| AccountId::new(number).unwrap());
        assert!(identity("").may_act_for(two) && identity("").rate().is_none());
        let limited = identity("accounts = [1]\ncalls_per_second = 100\nburst = 20");
        assert!(limited.may_act_for(one) && !limited.may_act_for(two));
        let rate = limited.rate().unwrap();
        assert_eq!((rate.calls_per_second.get(), rate.burst.map(NonZeroU32::get)), (100, Some(20)));
        let nobody = identity("accounts = []\ncalls_per_second = 1");
        assert!(!nobody.may_act_for(one) && nobody.rate().unwrap().burst.is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, sentence) in [
            ("actions = [\"Describ\"]", "\"Describ\" does not match an action"),
            ("actions = [\"*\",\n \"\"]", "line 4: \"\" does not match an action"),
            ("operators = [\"GetAccount\"]", "\"GetAccount\" does not match an operator method"),
            ("operators = [\"AuditService/*\"]", "is of the audit; use audit = true"),
            (
                "operators = [\"AccessKeyService/CreateAccessKey\"]",
                "returns a secret of an account; use credentials = true",
            ),
            ("operators = [\"*\", \"*/IssueSecurityToken\"]", "use credentials = true"),
            ("credentials = \"yes\"", "invalid type"),
            ("operator = [\"*\"]", "unknown field `operator`"),
            ("accounts = [1, 0]", "an account id is a positive 64-bit number"),
            ("accounts = [\"1\"]", "invalid type"),
            ("burst = 1", "burst requires calls_per_second"),
            ("calls_per_second = 0", "expected a nonzero u32"),
            ("audit = 1", "invalid type"),
            ("audit = true\naudit = true", "duplicate key"),
            ("[[identity]]\nname = \"a\"", "line 4: the identity \"a\" is there twice"),
            ("[[identity]]\nname = \"\"", "line 4: a name is 1 to 255 visible ASCII characters"),
            ("[[identity]]\nname = \"#a\"", "line 4: a name is 1 to 255 visible ASCII characters"),
            ("[[identity]]", "missing field `name`"),
            ("[[other]]", "unknown field `other`"),
            ("actions = [", "line "),
        ] {
            let refused = parse(&format!("[[identity]]\nname = \"a\"\n{text}\n")).unwrap_err();
            assert!(refused.starts_with("line "), "{refused}");
            assert!(refused.contains(sentence) && !refused.contains('\n'), "{text}: {refused}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn the_examples_grant_what_they_say() {
        let file = |text| parse(text).unwrap();
        let read = file(include_str!("../../../deploy/grants/read-only-operator.toml"));
        let full = file(include_str!("../../../deploy/grants/full-operator.toml"));
        let caller = file(include_str!("../../../deploy/grants/caller.toml"));
        let (read, full, caller) = (&read["console"], &full["billing"], &caller["shop"]);
        let of =
            |identity: &Identity| [DESCRIBE, OPEN, GET, LOCK].map(|path| identity.may_call(path));
        assert_eq!(of(read), [false, false, true, false]);
        for path in MethodKind::Operator.paths("*") {
            let reads =
                ["Get", "List", "Watch"].iter().any(|verb| path.contains(&format!("/{verb}")));
            assert_eq!(read.may_call(&path), reads, "{path}");
            assert!(full.may_call(&path), "{path}");
        }
        assert_eq!(of(full), [false, false, true, true]);
        assert!(SECRETS.iter().all(|path| full.may_call(path) && !read.may_call(path)));
        assert!(MethodKind::Action.paths("*").all(|path| caller.may_call(&path)));
        assert_eq!(of(caller), [true, true, false, false]);
    }
}
