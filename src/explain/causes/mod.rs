//! The table of causes: what a client does wrongly, what to do about it, and how the wrong signer
//! differs from the right one.

mod encoding;
mod key;
mod parameters;
mod request;
mod transport;
mod v1;
mod v3;
mod v3_headers;

use super::signer::Signer;
use crate::error::texts::Language;

/// A reason why a signature does not match.
#[derive(Debug)]
pub struct Cause {
    /// Its stable name.
    pub code: &'static str,
    /// Title and advice in English. `{}` stands for what the cause is about.
    en: [&'static str; 2],
    /// The same in Chinese.
    zh: [&'static str; 2],
    /// Returns the signers that make this mistake, from the one that does everything right. A cause
    /// that the request itself shows has none.
    pub signers: for<'a> fn(&Signer<'a>) -> Vec<Signer<'a>>,
}

/// The signature is right.
pub const CORRECT: &str = "correct";
/// The client signed the string that it gave.
pub const OWN_STRING: &str = "own_string";
/// A part of the request is in a file, so that more is not known.
pub const OPTION_NOT_READ: &str = "option_not_read";

/// All causes. The most frequent ones of a kind come first: two causes with the same effect are
/// named by the first.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    let tables = [
        request::CAUSES,
        transport::CAUSES,
        key::CAUSES,
        encoding::CAUSES,
        v1::CAUSES,
        v3::CAUSES,
        v3_headers::CAUSES,
        parameters::CAUSES,
    ];
    tables.into_iter().flatten()
}

/// Returns the cause of a code.
#[must_use]
pub fn cause(code: &str) -> &'static Cause {
    all().find(|cause| cause.code == code).expect("every code that is used is in the table")
}

impl Cause {
    /// Returns the title and the advice.
    #[must_use]
    pub fn texts(&self, language: Language, about: &str) -> (String, String) {
        let [title, advice] = match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        };
        (title.replace("{}", about), advice.replace("{}", about))
    }
}

/// For a cause that the request itself shows.
fn none<'a>(_: &Signer<'a>) -> Vec<Signer<'a>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NONE: for<'a> fn(&Signer<'a>) -> Vec<Signer<'a>> = none;

    #[test]
    fn every_cause_has_a_code_of_its_own_and_texts_in_both_languages() {
        let codes: HashSet<_> = all().map(|cause| cause.code).collect();
        assert_eq!(codes.len(), all().count());
        assert!(all().filter(|cause| !std::ptr::fn_addr_eq(cause.signers, NONE)).count() >= 30);
        for cause in all() {
            let is_code =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(cause.code.bytes().all(is_code), "{}", cause.code);
            for language in [Language::English, Language::Chinese] {
                let (title, advice) = cause.texts(language, "X");
                assert!(title.len() > 8 && advice.len() > 10, "{}", cause.code);
                let is_chinese = !title.is_ascii() && !advice.is_ascii();
                assert_eq!(is_chinese, language == Language::Chinese, "{}", cause.code);
            }
        }
        assert_eq!(Language::preferred("zh-CN"), Language::Chinese);
        assert_eq!(Language::preferred("en-US"), Language::English);
    }
}
