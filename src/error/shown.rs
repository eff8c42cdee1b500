//! Texts in errors that depend on the request.

use std::fmt;

/// Largest length of a text in an error, in bytes. Encoded for signing, the text of a request can
/// be a hundred times as long, and neither an error nor its response should hold all of it.
const LONGEST: usize = 8 * 1024;

/// A text, or its beginning and its full length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(Box<str>);

impl From<String> for Shown {
    fn from(text: String) -> Self {
        if text.len() <= LONGEST {
            return Self(text.into());
        }
        let (shown, bytes) = (text.floor_char_boundary(LONGEST), text.len());
        Self(format!("{}... (cut: the first {shown} of {bytes} bytes)", &text[..shown]).into())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_8_kib_is_whole_and_a_longer_one_is_cut_between_characters() {
        let whole = "a".repeat(8192);
        assert_eq!(Shown::from(whole.clone()).to_string(), whole);
        let cut = format!("{whole}... (cut: the first 8192 of 8193 bytes)");
        assert_eq!(Shown::from(whole + "a").to_string(), cut);
        let euros = "€".repeat(3000);
        let cut = format!("{}... (cut: the first 8190 of 9000 bytes)", "€".repeat(2730));
        assert_eq!(Shown::from(euros).to_string(), cut);
    }
}
