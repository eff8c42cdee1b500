//! Signs a request in every wrong way, and keeps the results that differ.

use std::collections::HashSet;

use super::causes::{self, Cause};
use super::signer::{Mac, Signer, Strings};
use crate::auth::signature::v3;
use crate::error::texts::Language;

/// The most attempts.
pub const MOST_ATTEMPTS: usize = 200;
/// The most bytes of all strings to sign.
const MOST_BYTES: usize = 512 * 1024;
/// The most bytes that are computed, also for attempts that turn out to be equal to others.
const MOST_WORK: usize = 8 * 1024 * 1024;

/// Causes that occur together with another one often enough to try both.
const OFTEN: [&str; 18] = [
    "ampersand_missing",
    "ampersand_appended",
    "newline_in_secret",
    "hmac_sha256",
    "hex_for_base64",
    "base64_of_hex",
    "plus_for_blank",
    "star_not_encoded",
    "tilde_encoded",
    "form_encoding",
    "lower_case_hex",
    "wrong_method",
    "path_not_encoded",
    "single_encoding",
    "line_end_after_string",
    "not_sorted",
    "empty_value_left_out",
    "form_in_query",
];

/// One way to sign, and what it makes.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The causes, each with what it is about. Two if the client made two mistakes.
    pub causes: Vec<(&'static Cause, String)>,
    /// What was signed.
    pub strings: Strings,
    /// How the MAC is made.
    pub mac: Mac,
}

impl Attempt {
    /// Returns the codes, joined by `+`.
    #[must_use]
    pub fn code(&self) -> String {
        let codes: Vec<_> = self.causes.iter().map(|(cause, _)| cause.code).collect();
        codes.join("+")
    }

    /// Returns title and advice.
    #[must_use]
    pub fn texts(&self, language: Language) -> (String, String) {
        let texts = self.causes.iter().map(|(cause, about)| cause.texts(language, about));
        let (titles, advice): (Vec<_>, Vec<_>) = texts.unzip();
        match language {
            Language::English => (titles.join("; "), advice.join(" ")),
            Language::Chinese => (titles.join("；"), advice.concat()),
        }
    }
}

/// The attempts so far.
#[derive(Debug)]
pub struct Attempts {
    /// The attempts. The first is the right way to sign.
    pub all: Vec<Attempt>,
    seen: HashSet<(String, Mac)>,
    bytes: usize,
    work: usize,
}

impl Attempts {
    /// Signs in the right way, with the cause that says so, and in every wrong way. `own` is the
    /// string that the client says it signed.
    #[must_use]
    pub fn of(right: &Signer<'_>, base: (&'static Cause, String), own: Option<&str>) -> Self {
        let mut attempts = Self { all: Vec::new(), seen: HashSet::new(), bytes: 0, work: 0 };
        attempts.add(vec![base], right.strings(), &right.mac);
        let mut often = Vec::new();
        for cause in causes::all() {
            let mut is_often = OFTEN.contains(&cause.code);
            for signer in attempts.signers(cause, right) {
                let causes = vec![(cause, signer.about.clone())];
                let is_new = attempts.add(causes.clone(), signer.strings(), &signer.mac);
                if is_new && is_often {
                    often.push((causes, signer));
                    is_often = false;
                }
            }
        }
        attempts.add_own(right, own);
        attempts.add_pairs(&often);
        attempts
    }

    /// Returns the signers of a cause, if there is room for more attempts.
    fn signers<'a>(&self, cause: &Cause, right: &Signer<'a>) -> Vec<Signer<'a>> {
        if self.is_full() { Vec::new() } else { (cause.signers)(right) }
    }

    fn is_full(&self) -> bool {
        self.all.len() >= MOST_ATTEMPTS || self.work >= MOST_WORK
    }

    /// Adds an attempt, unless it signs the same as an earlier one. Returns whether it was added.
    fn add(&mut self, causes: Vec<(&'static Cause, String)>, strings: Strings, mac: &Mac) -> bool {
        self.work += strings.canonical.len() + strings.to_sign.len();
        let fits = self.bytes + strings.to_sign.len() <= MOST_BYTES || self.all.is_empty();
        if (self.is_full() && !self.all.is_empty()) || !fits {
            return false;
        }
        if !self.seen.insert((strings.to_sign.clone(), mac.clone())) {
            return false;
        }
        self.bytes += strings.to_sign.len();
        self.all.push(Attempt { causes, strings, mac: mac.clone() });
        true
    }

    /// Adds the client's own string, with the right key and with every wrong one.
    fn add_own(&mut self, right: &Signer<'_>, own: Option<&str>) {
        let Some(own) = own else { return };
        let is_canonical = !right.is_v1() && !own.starts_with(v3::ALGORITHM);
        let to_sign = if is_canonical { v3::string_to_sign(own) } else { own.to_owned() };
        let strings = Strings { canonical: own.to_owned(), to_sign };
        let cause = || (causes::cause(causes::OWN_STRING), String::new());
        self.add(vec![cause()], strings.clone(), &right.mac);
        let right_strings = &self.all[0].strings;
        let keys = self.all[1..].iter().filter(|other| other.strings == *right_strings);
        for other in keys.cloned().collect::<Vec<_>>() {
            let causes = [other.causes, vec![cause()]].concat();
            self.add(causes, strings.clone(), &other.mac);
        }
    }

    /// Adds each pair of frequent mistakes.
    fn add_pairs(&mut self, often: &[(Vec<(&'static Cause, String)>, Signer<'_>)]) {
        for (first, signer) in often {
            let later = OFTEN.iter().skip_while(|code| **code != first[0].0.code).skip(1);
            for cause in later.map(|code| causes::cause(code)) {
                let is_effective = often.iter().any(|(other, _)| other[0].0.code == cause.code);
                if !is_effective {
                    continue;
                }
                for second in self.signers(cause, signer).into_iter().take(1) {
                    let causes = [first.clone(), vec![(cause, second.about.clone())]].concat();
                    self.add(causes, second.strings(), &second.mac);
                }
            }
        }
    }
}
