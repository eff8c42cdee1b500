//! The file of tokens. It has one line for each token, `NAME sha256:HEX [NOT-AFTER]`. Empty lines and
//! lines that begin with `#` are ignored. A name can have several tokens, so that the old and the new
//! token are both valid while a service changes from one to the other.

use std::collections::HashSet;

use super::token::{DIGEST_KIND, TokenDigest, digest_of};
use crate::auth::lines::numbered_lines;
use crate::domain::{Time, time};

/// The name of the service to which the single token of `dev` belongs.
pub(super) const DEVELOPER: &str = "dev";

/// Longest name of a service, in bytes. The name is part of log lines and of stored records.
const LONGEST_NAME: usize = 255;
/// Smallest length of the single token of `dev`, in bytes.
const SHORTEST_SINGLE_TOKEN: usize = 16;

/// A token that is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedToken {
    pub digest: TokenDigest,
    pub name: String,
    /// The instant from which the token is not valid any more.
    pub not_after: Option<Time>,
}

/// Reads a file of tokens. An error has the number of the line, and never its content.
pub(super) fn parse(text: &str) -> Result<Vec<ListedToken>, String> {
    let (mut tokens, mut digests) = (Vec::new(), HashSet::new());
    for (number, line) in numbered_lines(text) {
        let token = listed(line).map_err(|wrong| format!("line {number} {wrong}"))?;
        if !digests.insert(token.digest) {
            return Err(format!("line {number} lists a token that an earlier line lists"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// Reads the file of `dev`, which is a file of tokens, or only one token, of [`DEVELOPER`].
pub(super) fn parse_of_dev(text: &str) -> Result<Vec<ListedToken>, String> {
    let token = text.trim();
    if token.contains(char::is_whitespace) {
        return parse(text);
    }
    if token.len() < SHORTEST_SINGLE_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "expected a service token of at least {SHORTEST_SINGLE_TOKEN} visible characters"
        ));
    }
    Ok(vec![ListedToken { digest: digest_of(token), name: DEVELOPER.to_owned(), not_after: None }])
}

fn listed(line: &str) -> Result<ListedToken, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(digest)) = (words.next(), words.next()) else {
        return Err(
            "is not NAME sha256:HEX [NOT-AFTER]; `cdn-activation token new` prints such a line",
        );
    };
    let not_after = words.next();
    if words.next().is_some() {
        return Err("has more than three words; expected NAME sha256:HEX [NOT-AFTER]");
    }
    if !is_service_name(name) {
        return Err("has a name that is not 1 to 255 visible ASCII characters");
    }
    let hex = digest.strip_prefix(DIGEST_KIND).filter(|hex| hex.len() == 64);
    let mut digest = TokenDigest::default();
    if hex.is_none_or(|hex| hex::decode_to_slice(hex, &mut digest).is_err()) {
        return Err("has a digest that is not sha256: and 64 hexadecimal digits");
    }
    let not_after = match not_after.map(time::parse) {
        Some(None) => return Err("has a not-after that is not yyyy-MM-ddTHH:mm:ssZ"),
        given => given.flatten(),
    };
    Ok(ListedToken { digest, name: name.to_owned(), not_after })
}

/// Returns whether a text can be the name of a service: 1 to 255 visible ASCII characters. A line that
/// begins with `#` is a comment, so no name does.
#[must_use]
pub fn is_service_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::super::ServiceToken;
    use super::*;

    fn line(token: &str, name: &str, not_after: Option<Time>) -> String {
        ServiceToken::new(token).line(name, not_after)
    }

    #[test]
    fn comments_and_empty_lines_are_ignored_and_a_name_may_have_several_tokens() {
        let end = time::parse("2027-01-01T00:00:00Z");
        let text = format!(
            "# tokens\n\n  {}\r\n\t{}\n{}",
            line("old", "billing", end),
            line("new", "billing", None),
            line("other", "spiffe://example.org/console", None).replace(' ', "\t "),
        );
        let listed = |token, name: &str, not_after| ListedToken {
            digest: digest_of(token),
            name: name.to_owned(),
            not_after,
        };
        let expected = [
            listed("old", "billing", end),
            listed("new", "billing", None),
            listed("other", "spiffe://example.org/console", None),
        ];
        assert_eq!(parse(&text).unwrap(), expected);
        assert_eq!(parse("").unwrap(), []);
        let upper = line("old", "b", None).to_uppercase().replace("SHA256", "sha256");
        assert_eq!(parse(&upper).unwrap()[0].digest, digest_of("old"));
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        let right = line("a", "billing", None);
        for (wrong, sentence) in [
            ("tok-plain", "is not NAME sha256:HEX"),
            ("tok-plain sha256:", "a digest that is not"),
            (&right[..right.len() - 1], "a digest that is not"),
            (&format!("{right}0"), "a digest that is not"),
            (&right.replace("sha256:", "md5:"), "a digest that is not"),
            (&right.replace("sha256:", ""), "a digest that is not"),
            (&format!("{right} tomorrow"), "a not-after that is not"),
            (&format!("{right} 2027-01-01"), "a not-after that is not"),
            (&format!("{right} 2027-01-01T00:00:00Z tok-more"), "more than three words"),
            (&right.replace("billing", &"tok-".repeat(64)), "a name that is not"),
            (&right.replace("billing", "bílling"), "a name that is not"),
            (&line("b", "b", None), "a token that an earlier line lists"),
        ] {
            let refused = parse(&format!("{}\n#\n{wrong}\n", line("b", "c", None))).unwrap_err();
            assert!(refused.starts_with("line 3 ") && refused.contains(sentence), "{refused}");
            assert!(!refused.contains("tok-") && !refused.contains("billing"), "{refused}");
        }
    }

    #[test]
    fn dev_also_takes_a_single_token() {
        let digests = |text: &str| {
            let tokens = parse_of_dev(text)?;
            Ok::<_, String>(tokens.into_iter().map(|token| token.digest).collect::<Vec<_>>())
        };
        assert_eq!(digests("sixteen-letters!\n").unwrap(), [digest_of("sixteen-letters!")]);
        assert_eq!(digests(&line("abc", "a", None)).unwrap(), [digest_of("abc")]);
        for wrong in ["", "fifteen-letters", "sixteen-letters-ä"] {
            assert!(digests(wrong).unwrap_err().starts_with("expected a service token"), "{wrong}");
        }
    }
}
