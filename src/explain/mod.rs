//! The signature doctor: says why the signature of a request does not match, without the secret as
//! far as that is possible. All functions are pure.
//!
//! It reads what was pasted (`pasted/`), signs the request in the right way and in every wrong way
//! of the table of causes (`causes/`, `signer/`), and returns what each way signs. A caller that has
//! the secret computes the MAC of each and compares it with the signature.

mod attempts;
mod causes;
mod difference;
mod mac;
mod pasted;
mod sent;
mod signer;
mod subject;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::attempts::Attempts;
pub use self::causes::{CORRECT, OPTION_NOT_READ};
pub use self::difference::Difference;
pub use self::pasted::Kind;
use self::pasted::Pasted;
use self::sent::Sent;
use self::signer::Signer;
pub use self::signer::{Algorithm, Encoding, Mac, Used, Version};
use self::subject::{Found, Subject};
use crate::auth::secret::Secret;
use crate::auth::signature::{canonical_query, v1, v3};
use crate::error::texts::Language;

/// Largest length of a text that is explained, in bytes.
pub const LONGEST_TEXT: usize = 64 * 1024;
/// The most parameters of a request that is explained.
const MOST_PARAMETERS: usize = 500;
/// The most headers of a request that is explained, sent or signed.
const MOST_HEADERS: usize = 200;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Request {
    /// What was pasted.
    pub text: String,
    /// The client's own string to sign or canonical request.
    #[serde(default)]
    pub client_string_to_sign: Option<String>,
    /// The language of the answer: `en` or `zh`.
    #[serde(default)]
    pub lang: String,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Which signature the request has; `None` if the text is not recognised.
    pub version: Option<Version>,
    /// What was pasted.
    pub recognised: Option<Kind>,
    /// The signature as the client computed it, if there is one.
    pub signature: Option<String>,
    /// What the server computes.
    pub steps: Vec<Step>,
    /// Where the client's own string differs.
    pub difference: Option<Difference>,
    /// The causes that are certain without the secret.
    pub causes: Vec<Named>,
    /// What the client may have signed. The first is what the server signs.
    pub candidates: Vec<Candidate>,
}

/// A step of the server.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `canonical_query`, `canonical_request` or `string_to_sign`.
    pub name: &'static str,
    /// Its result.
    pub text: String,
}

/// A cause in the language of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The stable name of the cause.
    pub code: String,
    /// What is wrong.
    pub title: String,
    /// What to do.
    pub advice: String,
}

/// A string that the client may have signed, and how. If its MAC is the signature, its cause is the
/// reason why the signature does not match; `correct` says that it matches.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// The cause. Two codes are joined by `+`.
    #[serde(flatten)]
    pub cause: Named,
    /// How the MAC is made.
    #[serde(flatten)]
    pub mac: Mac,
    /// The string.
    pub string_to_sign: String,
}

/// Explains a signature.
#[must_use]
pub fn explain(request: &Request) -> Explanation {
    let language = Language::preferred(&request.lang);
    let own = request.client_string_to_sign.as_deref().map(pasted::own_string);
    let own = own.filter(|own| !own.is_empty());
    if request.text.len().max(own.as_ref().map_or(0, String::len)) > LONGEST_TEXT {
        return unexplained("too_long", language);
    }
    match pasted::recognise(&request.text) {
        Some(pasted) if has_too_many(&pasted.sent) => unexplained("too_many_parameters", language),
        Some(pasted) => explain_pasted(pasted, own, language),
        None => unexplained("not_recognised", language),
    }
}

/// Whether the work for a request would be too much.
fn has_too_many(sent: &Sent) -> bool {
    let signed = sent.header("authorization").unwrap_or_default().split(';').count();
    sent.raw.len() > MOST_PARAMETERS || sent.headers.len().max(signed) > MOST_HEADERS
}

/// Explains the signature of a request in JSON, and returns the answer in JSON. The error says why
/// the request cannot be read.
pub fn answer(json: &[u8]) -> Result<String, String> {
    let request: Request = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    serde_json::to_string(&explain(&request)).map_err(|error| error.to_string())
}

/// Returns the candidate whose MAC is the signature.
#[must_use]
pub fn name_cause<'a>(explanation: &'a Explanation, secret: &Secret) -> Option<&'a Candidate> {
    let signature = explanation.signature.as_ref()?;
    let is_right = |candidate: &&Candidate| {
        candidate.mac.sign(&candidate.string_to_sign, secret.expose()) == *signature
    };
    explanation.candidates.iter().find(is_right)
}

fn unexplained(code: &str, language: Language) -> Explanation {
    Explanation {
        version: None,
        recognised: None,
        signature: None,
        steps: Vec::new(),
        difference: None,
        causes: vec![named(&(causes::cause(code).code, String::new()), language)],
        candidates: Vec::new(),
    }
}

fn named((code, about): &Found, language: Language) -> Named {
    let (title, advice) = causes::cause(code).texts(language, about);
    Named { code: (*code).to_owned(), title, advice }
}

fn explain_pasted(mut pasted: Pasted, own: Option<String>, language: Language) -> Explanation {
    let is_html = subject::remove_html_escapes(&mut pasted.sent);
    let mut subject = Subject::of(&pasted);
    if is_html {
        subject.refusals.insert(0, ("html_escaped", String::new()));
    }
    let own = own.or_else(|| pasted.own.take());
    let steps = steps(&pasted, &subject);
    let right = Signer::new(&pasted.sent, subject.version, &subject.signed_headers);
    let base = match subject.refusals.first() {
        Some((code, about)) => (causes::cause(code), about.clone()),
        None => (causes::cause(CORRECT), String::new()),
    };
    let attempts = Attempts::of(&right, base, own.as_deref());
    let mut found = subject.refusals;
    found.extend(subject.hints);
    let (difference, of_own) = compare(&steps, &attempts, &right, own.as_deref());
    found.extend(of_own);
    let mut seen = std::collections::HashSet::new();
    found.retain(|one| seen.insert(one.clone()));
    Explanation {
        version: Some(subject.version),
        recognised: Some(pasted.kind),
        signature: subject.signature,
        steps,
        difference,
        causes: found.iter().map(|found| named(found, language)).collect(),
        candidates: candidates(attempts, language),
    }
}

fn candidates(attempts: Attempts, language: Language) -> Vec<Candidate> {
    let candidates = attempts.all.into_iter().map(|attempt| {
        let (title, advice) = attempt.texts(language);
        let cause = Named { code: attempt.code(), title, advice };
        Candidate { cause, mac: attempt.mac, string_to_sign: attempt.strings.to_sign }
    });
    candidates.collect()
}

/// Returns what the server computes. The text of a message of the server has precedence.
fn steps(pasted: &Pasted, subject: &Subject) -> Vec<Step> {
    let (sent, server) = (&pasted.sent, pasted.server.as_ref());
    if pasted.notes.contains(&"only_a_hash") {
        return Vec::new();
    }
    let is_v1 = subject.version == Version::V1;
    let of_version = sent.pairs(is_v1).filter(|(name, _)| !is_v1 || name != v1::SIGNATURE);
    let query = canonical_query(&of_version.collect::<Vec<_>>().iter().collect());
    let mut steps = vec![Step { name: "canonical_query", text: query }];
    let parameters = sent.parameters();
    let string_to_sign = if is_v1 {
        let computed = || v1::string_to_sign(&sent.method, &parameters);
        server.cloned().unwrap_or_else(computed)
    } else {
        let hash = sent.header("x-acs-content-sha256").unwrap_or_default();
        let (headers, signed) = (sent.header_map(), &subject.signed_headers);
        let computed = || v3::canonical_request(&sent.method, &parameters, &headers, signed, hash);
        let canonical = server.cloned().unwrap_or_else(computed);
        let string_to_sign = v3::string_to_sign(&canonical);
        steps.push(Step { name: "canonical_request", text: canonical });
        string_to_sign
    };
    steps.push(Step { name: "string_to_sign", text: string_to_sign });
    steps
}

/// Compares the client's own string with that of the server, and with every attempt.
fn compare(
    steps: &[Step],
    attempts: &Attempts,
    right: &Signer<'_>,
    own: Option<&str>,
) -> (Option<Difference>, Vec<Found>) {
    let (Some(own), Some(last)) = (own, steps.last()) else { return (None, Vec::new()) };
    let is_canonical = !right.is_v1() && !own.starts_with(v3::ALGORITHM);
    let step = steps.iter().find(|step| is_canonical && step.name == "canonical_request");
    let server = &step.unwrap_or(last).text;
    let Some(difference) = difference::difference(server, own) else {
        return (None, vec![("string_is_right", String::new())]);
    };
    let same = attempts.all.iter().skip(1).find(|attempt| {
        let strings = &attempt.strings;
        let is_own = attempt.causes.iter().any(|(cause, _)| cause.code == causes::OWN_STRING);
        !is_own && (strings.to_sign == own || (is_canonical && strings.canonical == own))
    });
    let found = match same {
        Some(attempt) => {
            attempt.causes.iter().map(|(cause, about)| (cause.code, about.clone())).collect()
        }
        None => compare_parts(right, own, is_canonical),
    };
    (Some(difference), found)
}

/// Compares the parameters and headers of the client's own string with those of the request.
fn compare_parts(right: &Signer<'_>, own: &str, is_canonical: bool) -> Vec<Found> {
    if !is_canonical {
        let Some((_, signed)) = pasted::strings::v1_pairs(own) else { return Vec::new() };
        return subject::compare_pairs(&signed, &right.pairs);
    }
    let Some(signed) = pasted::strings::canonical_request(own) else { return Vec::new() };
    let pairs: Vec<_> = signed.pairs(false).collect();
    let mut found = subject::compare_pairs(&pairs, &right.pairs);
    for (name, value) in right.headers.iter().take(64) {
        if signed.header(name).is_some_and(|signed| signed != value.as_str()) {
            found.push(("header_differs", name.clone()));
        }
    }
    found
}
