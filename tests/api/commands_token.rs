//! `cdn-activation token new`.

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::domain::time;

use crate::support::callers::grants;
use crate::support::process::run;

#[tokio::test]
async fn a_new_token_is_printed_with_its_line_for_the_file_of_tokens() {
    let mut tokens = Vec::new();
    for not_after in [None, Some("2030-01-01T00:00:00Z")] {
        let end = not_after.map(|end| ["--not-after", end]);
        let arguments = ["token", "new", "billing"].into_iter().chain(end.into_iter().flatten());
        let ended = run(arguments, &[]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let lines: Vec<_> = ended.stdout.lines().collect();
        let [token, line] = lines[..] else { panic!("two lines: {ended:?}") };
        let token = token.strip_prefix("token: ").expect("a label").to_owned();
        let line = line.strip_prefix("line: ").expect("a label");
        assert!(token.len() == 43 && !line.contains(&token), "{ended:?}");
        assert!(line.starts_with("billing sha256:"), "{line}");
        let callers = ServiceDirectory::of(line, &grants("billing", "")).expect("a valid line");
        let at = |instant| callers.of_token(&token, || time::parse(instant).expect("an instant"));
        assert_eq!(at("2029-12-31T23:59:59Z").expect("valid").name().as_ref(), "billing");
        assert_eq!(at("2030-01-01T00:00:00Z").is_none(), not_after.is_some());
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn a_name_that_cannot_be_in_the_file_of_tokens_is_refused() {
    for name in ["", "two words", "#billing", "bílling", &"a".repeat(256)] {
        let ended = run(["token", "new", name], &[]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains("is not 1 to 255 visible ASCII characters"), "{ended:?}");
    }
    let ended = run(["token", "new", "billing", "--not-after", "tomorrow"], &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
}
