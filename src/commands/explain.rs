//! `explain`: says why the signature of a request does not match.

use std::fmt::Write;
use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::print;
use crate::auth::secret::Secret;
use crate::auth::secret_files::read_secret;
use crate::config::ExplainSettings;
use crate::error::texts::Language;
use crate::explain::{
    self, CORRECT, Candidate, Difference, Explanation, LONGEST_TEXT, Named, OPTION_NOT_READ,
    Request,
};
use crate::logging::{self, Output};

const UNREADABLE: u8 = 2;

/// Labels of the output, which are in two languages.
struct Labels {
    recognised: &'static str,
    difference: &'static str,
    /// Byte, line and column in this order, each as `{}`.
    place: &'static str,
    server: &'static str,
    client: &'static str,
    certain: &'static str,
    by_mac: &'static str,
    signature: &'static str,
    nothing: &'static str,
    no_secret: &'static str,
    no_signature: &'static str,
}

const ENGLISH: Labels = Labels {
    recognised: "recognised",
    difference: "first difference",
    place: "byte {}, line {}, column {}",
    server: "server",
    client: "client",
    certain: "seen in the text",
    by_mac: "found with the secret",
    signature: "signature",
    nothing: "No known mistake makes this signature with this secret. Check that the secret belongs to \
              the access key id, and give the client's own string with --string-to-sign-file.",
    no_secret: "Give the secret to compare the signature with that of each known mistake.",
    no_signature: "The right signature",
};

const CHINESE: Labels = Labels {
    recognised: "识别为",
    difference: "第一处不同",
    place: "字节 {}，第 {} 行，第 {} 列",
    server: "服务端",
    client: "客户端",
    certain: "从文本中发现",
    by_mac: "通过 Secret 确认",
    signature: "签名",
    nothing: "没有已知的错误能用该 Secret 得到此签名。请确认 Secret 与 AccessKey ID 匹配，\
              并用 --string-to-sign-file 提供客户端的待签名字符串。",
    no_secret: "提供 Secret 后，可以与每种已知错误的签名逐一比较。",
    no_signature: "正确的签名",
};

/// Runs the command. The exit status says whether the signature is right or a cause was found, no
/// cause was found, or the input cannot be read.
pub fn run(settings: &ExplainSettings) -> anyhow::Result<ExitCode> {
    let (request, secret) = match read(settings) {
        Ok(read) => read,
        Err(error) => {
            logging::say(Output::Stderr, &format!("cdn-activation: {error:#}\n"));
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let explanation = explain::explain(&request);
    if explanation.recognised.is_none() {
        for cause in &explanation.causes {
            let sentence = format!("cdn-activation: {}\n{}\n", cause.title, cause.advice);
            logging::say(Output::Stderr, &sentence);
        }
        return Ok(ExitCode::from(UNREADABLE));
    }
    let found = secret.as_ref().and_then(|secret| explain::name_cause(&explanation, secret));
    print(
        shown(&explanation, secret.as_ref(), found, Language::preferred(&request.lang)).trim_end(),
    )?;
    let is_named = found.is_some() || is_certain(&explanation);
    Ok(if is_named { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a cause was found without the secret. That the string is right is not a cause, and
/// neither is that a part of the request is unknown.
fn is_certain(explanation: &Explanation) -> bool {
    let is_none = |code: &str| ["string_is_right", OPTION_NOT_READ].contains(&code);
    explanation.causes.iter().any(|cause| !is_none(&cause.code))
}

fn read(settings: &ExplainSettings) -> anyhow::Result<(Request, Option<Secret>)> {
    let mut text = Vec::new();
    let limit = u64::try_from(LONGEST_TEXT + 1).expect("a small number");
    std::io::stdin().take(limit).read_to_end(&mut text).context("cannot read standard input")?;
    if text.len() > LONGEST_TEXT {
        bail!("standard input is longer than 64 KiB; expected one request or one string to sign");
    }
    let text = String::from_utf8(text).context("standard input is not UTF-8")?;
    let client_string_to_sign = match &settings.string_to_sign_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        ),
        None => None,
    };
    let secret = match (&settings.access_key_secret_file, &settings.access_key_secret) {
        (Some(path), _) => Some(Secret::new(read_secret(path)?.to_string())),
        (None, Some(secret)) => Some(Secret::new(secret.clone())),
        (None, None) => None,
    };
    Ok((Request { text, client_string_to_sign, lang: settings.lang.clone() }, secret))
}

/// Returns the output.
fn shown(
    explanation: &Explanation,
    secret: Option<&Secret>,
    found: Option<&Candidate>,
    language: Language,
) -> String {
    let labels = if language == Language::Chinese { &CHINESE } else { &ENGLISH };
    let mut out = String::new();
    let mut line = |text: &str| {
        writeln!(out, "{}", visible(text)).expect("writing to a String cannot fail");
    };
    line(&recognised(explanation, labels));
    for step in &explanation.steps {
        line(&format!("\n{}:\n{}", step.name, step.text));
    }
    if let Some(signature) = &explanation.signature {
        line(&format!("\n{}: {signature}", labels.signature));
    }
    if let Some(difference) = &explanation.difference {
        line(&format!("\n{}", with_caret(difference, labels)));
    }
    for cause in &explanation.causes {
        line(&format!("\n{}: {}", labels.certain, named(cause)));
    }
    match (found, secret, explanation.candidates.first()) {
        (Some(candidate), ..) if candidate.cause.code == CORRECT => {
            line(&format!("\n{}", named(&candidate.cause)));
        }
        (Some(candidate), ..) => line(&format!("\n{}: {}", labels.by_mac, named(&candidate.cause))),
        (None, ..) if explanation.causes.iter().any(|cause| cause.code == OPTION_NOT_READ) => {}
        (None, None, _) => line(&format!("\n{}", labels.no_secret)),
        (None, Some(secret), Some(right)) if explanation.signature.is_none() => {
            let signature = right.mac.sign(&right.string_to_sign, secret.expose());
            line(&format!("\n{}: {signature}", labels.no_signature));
        }
        (None, Some(_), _) => line(&format!("\n{}", labels.nothing)),
    }
    out
}

/// Returns what was recognised, `V1 curl` for example.
fn recognised(explanation: &Explanation, labels: &Labels) -> String {
    let kind = serde_json::to_value(explanation.recognised).unwrap_or_default();
    let version = serde_json::to_value(explanation.version).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}: {} {}", labels.recognised, text(&version), text(&kind))
}

fn named(cause: &Named) -> String {
    let [title, advice] = [&cause.title, &cause.advice].map(|text| text.replace('\n', "↵"));
    format!("{title} ({})\n  {advice}", cause.code)
}

/// Escapes the characters of the input that could control a terminal or reorder its text. Line ends
/// remain.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        let is_bidi = matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_bidi || (one.is_control() && one != '\n') {
            out.extend(one.escape_unicode());
        } else {
            out.push(one);
        }
    }
    out
}

/// Returns both strings around the first difference, with a caret below it.
fn with_caret(difference: &Difference, labels: &Labels) -> String {
    let Difference { at, line, column, server, client, context_before } = difference;
    let one_line = |text: &str| visible(&text.replace('\n', "↵"));
    let before: String = server.chars().take(*context_before).collect();
    let caret = format!("{:1$}^", "", visible(&before).chars().count());
    let numbers = [at, line, column].map(ToString::to_string);
    let place = numbers.iter().fold(labels.place.to_owned(), |text, n| text.replacen("{}", n, 1));
    format!(
        "{}: {place}\n  {}\n  {caret} {}\n  {}\n  {caret} {}",
        labels.difference,
        one_line(server),
        labels.server,
        one_line(client),
        labels.client,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_first_difference() {
        let string = "GET&%2F&a%3Db%2Bc".to_owned();
        let request = Request { text: string, lang: "en".to_owned(), ..Request::default() };
        let explanation = explain::explain(&request);
        let shown = shown(&explanation, None, None, Language::English);
        let lines = [
            "recognised: V1 string_to_sign",
            "\ncanonical_query:\na=b%20c",
            "\nstring_to_sign:\nGET&%2F&a%3Db%2520c",
            "\nfirst difference: byte 15, line 1, column 16",
            "  GET&%2F&a%3Db%2520c",
            "                 ^ server",
            "  GET&%2F&a%3Db%2Bc",
            "                 ^ client",
            "\nseen in the text: A blank is encoded as + and not as %20 (plus_for_blank)",
        ];
        let expected = lines.join("\n");
        assert!(shown.starts_with(&expected), "{shown}");
        assert!(shown.contains(ENGLISH.no_secret));
    }

    fn shown_of(text: &str, own: Option<&str>) -> (String, Explanation) {
        let client_string_to_sign = own.map(str::to_owned);
        let request = Request { text: text.to_owned(), client_string_to_sign, lang: "en".into() };
        let explanation = explain::explain(&request);
        (shown(&explanation, None, None, Language::English), explanation)
    }

    #[test]
    fn the_input_cannot_control_the_terminal() {
        let texts = [
            (
                "http://h/\u{1b}[2J?Action=A&%1B]0;x%07=1&%1B]0;x%07=2&Signature=\u{9b}x\u{202e}",
                None,
            ),
            ("GET / HTTP/1.1\nx-acs-date: \u{1b}c\n\n", Some("GET\n/\n\u{8}\nhost:h\n\nhost\nabc")),
            ("GET&%2F&a%3Db", Some("GET&%2F&\u{1b}[1m")),
        ];
        for (text, own) in texts {
            let (shown, _) = shown_of(text, own);
            let is_safe = |one: char| one == '\n' || !(one.is_control() || one == '\u{202e}');
            assert!(shown.chars().all(is_safe), "{shown:?}");
            assert!(shown.contains("\\u{"), "{shown}");
        }
        let (shown, _) = shown_of("http://h/?a%0A=1&a%0A=2&Signature=x", None);
        assert!(shown.contains("The parameter a↵ is sent twice"), "{shown}");
        let (shown, _) =
            shown_of("GET\n/\n\u{7}=1\nh:h\n\nh\nabc", Some("GET\n/\n\u{7}=2\nh:h\n\nh\nabc"));
        assert!(shown.contains("\n  GET↵/↵"), "{shown}");
    }

    #[test]
    fn a_part_that_is_in_a_file_is_not_a_cause() {
        for (text, is_cause) in [
            ("curl -d @file 'http://h/?Action=A'", false),
            ("curl -d @file 'http://h/?Action=A&Action=B'", true),
            ("curl -d a=1 'http://h/?Action=A'", true),
        ] {
            let (shown, explanation) = shown_of(text, None);
            assert_eq!(is_certain(&explanation), is_cause, "{shown}");
            assert_eq!(shown.contains("The option --data @file names a file"), text.contains('@'));
        }
    }
}
