//! The signature doctor: the command `cdn-activation explain`, and the captured requests of real
//! clients, whose signatures are right.

use std::io::Write;
use std::process::Stdio;

use cdn_activation::auth::secret::Secret;
use cdn_activation::explain::{Explanation, Request, explain, name_cause};

use crate::support::captures::{captures, json};
use crate::support::process::{Ended, command, run};
use crate::support::scratch::Scratch;

const KEY: [(&str, &str); 2] =
    [("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")];

/// Runs `explain` with this standard input.
fn explained(input: &[u8], arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let arguments = ["explain"].into_iter().chain(arguments.iter().copied());
    let mut command = command(arguments, variables);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
    // The program may end before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let ended = Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!format!("{ended:?}").contains("testsecret"), "the secret is shown: {ended:?}");
    ended
}

/// Returns the curl command that `call` prints.
async fn curl_of(arguments: &[&str]) -> String {
    let all = ["call", "OpenDcdnService", "BillType=a b*c~d", "WebsocketBillType=", "--print-curl"];
    let ended = run(all.iter().chain(arguments), &KEY).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn the_explained_signature_of_a_printed_curl_command_is_correct() {
    for flags in [&[][..], &["--v3"]] {
        let curl = curl_of(flags).await;
        let ended = explained(curl.as_bytes(), &[], &KEY);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("The signature is right (correct)"), "{ended:?}");
        let version = if flags.is_empty() { "V1" } else { "V3" };
        assert!(ended.stdout.starts_with(&format!("recognised: {version} curl\n")), "{ended:?}");
        let chinese = explained(curl.as_bytes(), &["--lang", "zh"], &KEY);
        assert!(chinese.stdout.contains("签名正确 (correct)"), "{chinese:?}");
    }
}

#[tokio::test]
async fn a_request_that_was_changed_after_signing_is_explained() {
    for flags in [&[][..], &["--v3"]] {
        let curl = curl_of(flags).await;
        let method = if flags.is_empty() { "GET" } else { "POST" };
        let other = if flags.is_empty() { "POST" } else { "GET" };
        let text = curl.replace(&format!("-X {method}"), &format!("-X {other}"));
        let expected = format!("The client signed another method: {method} (wrong_method)");
        let ended = explained(text.as_bytes(), &[], &KEY);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains(&expected), "{ended:?}");
        let text = curl.replace("/?", "/?Added=1&");
        let ended = explained(text.as_bytes(), &[], &KEY);
        let expected = "The parameter Added is sent and not signed (parameter_not_signed)";
        assert!(ended.stdout.contains(expected), "{ended:?}");
        // Another value cannot be named by the MAC, and the client's own string is not known.
        let text = curl.replace("a%20b", "other");
        assert_eq!(explained(text.as_bytes(), &[], &KEY).code, Some(1));
    }
}

#[tokio::test]
async fn the_own_string_of_a_client_is_compared_without_the_secret() {
    let scratch = Scratch::new();
    let url = curl_of(&[]).await;
    let right = explained(url.as_bytes(), &[], &[]);
    assert_eq!(right.code, Some(1), "without the secret the signature cannot be compared");
    let string = right.stdout.lines().find(|line| line.starts_with("GET&")).expect("the string");
    for (own, code) in [
        (string.replace("%2520", "%2B"), "plus_for_blank"),
        (string.replace("%252A", "%2A"), "star_not_encoded"),
        (string.replace("GET", "POST"), "wrong_method"),
        (string.replace("WebsocketBillType%3D", "WebsocketBillType"), "empty_value_without_equals"),
        (string.replace("%26Version", "%26Unsent%3D1%26Version"), "parameter_not_sent"),
    ] {
        assert_ne!(own, string);
        let file = scratch.file("own", &format!("{own}\n"));
        let ended = explained(url.as_bytes(), &["--string-to-sign-file", &file], &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(&format!("({code})")), "{code}: {ended:?}");
        assert!(ended.stdout.contains("^ server\n"), "{ended:?}");
    }
}

#[test]
fn the_secret_to_explain_with_can_be_in_a_file() {
    let scratch = Scratch::new();
    let published = &json("published-vectors.json")["vectors"][0];
    let request = published["request"].as_str().expect("a request");
    let file = scratch.file("secret", "testsecret\n");
    let ended = explained(request.as_bytes(), &["--access-key-secret-file", &file], &[]);
    assert!(ended.stdout.contains("(correct)"), "{ended:?}");
    let file = scratch.file("other", "another");
    let ended = explained(request.as_bytes(), &["--access-key-secret-file", &file], &KEY);
    assert_eq!(ended.code, Some(1), "the file has precedence over the variable: {ended:?}");
}

#[test]
fn an_input_that_cannot_be_explained_is_reported_with_status_2() {
    for (input, sentence) in [
        (&b"hello"[..], "cdn-activation: The text is not a request or a string to sign\n"),
        (b"", "cdn-activation: The text is not a request or a string to sign\n"),
        (b"\xff", "cdn-activation: standard input is not UTF-8"),
        (
            &vec![b'a'; 64 * 1024 + 1],
            "cdn-activation: standard input is longer than 64 KiB; expected",
        ),
    ] {
        let ended = explained(input, &[], &KEY);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.starts_with(sentence), "{ended:?}");
    }
    let ended = explained(b"GET&", &["--string-to-sign-file", "missing"], &[]);
    assert!(ended.stderr.starts_with("cdn-activation: cannot read missing: "), "{ended:?}");
}

/// Returns the code of the candidate whose MAC is the signature.
fn named(explanation: &Explanation, secret: &str) -> Option<String> {
    let found = name_cause(explanation, &Secret::new(secret.to_owned()));
    found.map(|candidate| candidate.cause.code.clone())
}

#[test]
fn the_explained_signature_of_every_capture_is_correct() {
    let mut count = 0;
    for capture in captures().iter().filter(|capture| capture.is_v1() || capture.is_v3()) {
        let text = String::from_utf8(capture.request.bytes.clone()).expect("UTF-8");
        let explanation = explain(&Request { text, ..Request::default() });
        let secret = capture.says["credential"]["access_key_secret"].as_str().expect("a secret");
        let code = named(&explanation, secret);
        // Bodies of other types than a form are refused, whatever the signature.
        let expected = if explanation.causes.is_empty() { "correct" } else { "body_not_a_form" };
        assert_eq!(code.as_deref(), Some(expected), "{}: {:?}", capture.file, explanation.causes);
        let last = explanation.steps.last().map(|step| step.text.as_str());
        assert_eq!(last, Some(capture.text("string_to_sign")), "{}", capture.file);
        count += u32::from(expected == "correct");
    }
    assert!(count > 300, "{count} captures are correct");
}

#[test]
fn the_explained_signature_of_every_published_example_is_correct() {
    let vectors = json("published-vectors.json");
    for vector in vectors["vectors"].as_array().expect("a list") {
        let text = vector["request"].as_str().expect("a request").to_owned();
        let explanation = explain(&Request { text, ..Request::default() });
        let secret = vector["secret"].as_str().expect("a secret");
        assert_eq!(named(&explanation, secret).as_deref(), Some("correct"), "{}", vector["title"]);
    }
}
