//! The file of tokens and the file of grants.

use std::collections::HashMap;

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::domain::{AccountId, Time};
use cdn_activation::proto::POOL;
use toml::Value;

/// A token, and its digest as a line of the file shows it.
const TOKEN: &str = "a token of the fuzz targets";
const DIGEST: &str = "33df131b351be7f4775459a12fca20e89542175c716274cd6e25c7d276a9603c";

/// A file of tokens. The token is known if and only if a line lists its digest, to the name of the
/// line. An error is one line that does not repeat what the file has.
pub fn token_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let directory = match ServiceDirectory::of(text, "") {
        Ok(directory) => directory,
        Err(sentence) => {
            assert!(!sentence.is_empty() && !sentence.contains('\n'), "{sentence:?}");
            return;
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut words = lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let listed = words.find(|words| {
        let digest = words.get(1).and_then(|digest| digest.strip_prefix("sha256:"));
        digest.is_some_and(|digest| digest.eq_ignore_ascii_case(DIGEST))
    });
    let known = directory.of_token(TOKEN, || Time::UNIX_EPOCH);
    // A line that lists it until some instant before 1970 is not in force.
    match (listed.as_deref(), known) {
        (None, Some(known)) => panic!("{known:?} has not this token"),
        (Some([name, _]), known) => assert_eq!(&**known.expect("it is listed").name(), *name),
        (Some([name, ..]), Some(known)) => assert_eq!(&**known.name(), *name),
        _ => {}
    }
    for token in ["", DIGEST, &TOKEN[1..]] {
        assert!(directory.of_token(token, || Time::UNIX_EPOCH).is_none());
    }
}

/// A file of grants. An identity may call only kinds of methods, and act only for accounts, that
/// its entry names.
pub fn grants(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let directory = match ServiceDirectory::of("", text) {
        Ok(directory) => directory,
        Err(sentence) => {
            assert!(!sentence.is_empty() && !sentence.contains('\n'), "{sentence:?}");
            return;
        }
    };
    let file: HashMap<String, Value> = toml::from_str(text).expect("it was read");
    let entries = file.get("identity").and_then(Value::as_array);
    assert!(file.len() == usize::from(entries.is_some()), "it has identities only");
    let services = POOL.services().filter(|service| service.full_name().starts_with("activation."));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let methods: Vec<_> = methods
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    for entry in entries.into_iter().flatten() {
        let name = entry["name"].as_str().expect("a name").to_owned();
        let line = format!("{name} sha256:{DIGEST}");
        let services = ServiceDirectory::of(&line, text).expect("the name was accepted");
        let identity = services.of_token(TOKEN, || Time::UNIX_EPOCH).expect("it is listed");
        assert_eq!(**identity.name(), *name);
        let has = |key| entry.get(key).is_some_and(|value| value.as_array() != Some(&Vec::new()));
        for path in &methods {
            let kind = match path.contains(".operator.") {
                true if path.contains("/activation.operator.v1.AuditService/") => "audit",
                true if path.ends_with("/CreateAccessKey") => "credentials",
                true if path.ends_with("/IssueSecurityToken") => "credentials",
                true => "operators",
                false => "actions",
            };
            assert!(has(kind) || !identity.may_call(path), "{name} and {path}");
        }
        let accounts = entry.get("accounts").and_then(Value::as_array);
        for number in [1, 1234, i64::MAX] {
            let listed = accounts.is_none_or(|all| all.contains(&Value::Integer(number)));
            let account_id = AccountId::new(number).expect("positive");
            assert_eq!(identity.may_act_for(account_id), listed, "{name} and {number}");
        }
    }
    let stranger = directory.of_certificate(&["a name without grants".to_owned()]);
    assert!(stranger.is_none_or(|stranger| methods.iter().all(|path| !stranger.may_call(path))));
}
