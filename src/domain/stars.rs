//! Texts with stars: in policies, and in the grants of calling services.

/// Whether upper and lower case are different letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterCase {
    /// `A` and `a` are different.
    Counts,
    /// `A` and `a` are the same, as in the vendor's policies.
    Ignored,
}

impl LetterCase {
    fn are_equal(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Counts => one == other,
            Self::Ignored => one.eq_ignore_ascii_case(other),
        }
    }
}

/// Returns whether a text has the form of a pattern, in which `*` stands for any text, also for
/// none.
///
/// It compares at most as many bytes as the product of both lengths: each part between two stars
/// takes the first place where it fits and is never tried elsewhere, because a later place leaves
/// less for the parts after it.
#[must_use]
pub fn matches_with_stars(pattern: &str, text: &str, case: LetterCase) -> bool {
    if pattern == "*" {
        return true;
    }
    let mut parts = pattern.as_bytes().split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let mut rest = match text.as_bytes().split_at_checked(first.len()) {
        Some((start, after)) if case.are_equal(start, first) => after,
        _ => return false,
    };
    // Without a star, nothing may be left.
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let fits = |at: &usize| {
            let here = rest[*at..].get(..part.len());
            here.is_some_and(|here| case.are_equal(here, part))
        };
        let Some(at) = (0..=rest.len()).find(fits) else { return false };
        rest = &rest[at + part.len()..];
    }
    let end = rest.len().checked_sub(last.len()).map(|start| &rest[start..]);
    end.is_some_and(|end| case.are_equal(end, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_anywhere() {
        for (pattern, text, expected) in [
            ("*", "cdn:OpenCdnService", true),
            ("*", "", true),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("cdn:*", "cdn:OpenCdnService", true),
            ("cdn:*", "dcdn:OpenDcdnService", false),
            ("*Service", "cdn:OpenCdnService", true),
            ("cdn:*Cdn*ice", "cdn:OpenCdnService", true),
            ("cdn:Open", "cdn:OpenCdnService", false),
            ("cdn:OpenCdnServicee*", "cdn:OpenCdnService", false),
            ("OpenCdnService", "OpenCdnService", true),
            ("OpenCdnService", "OpenCdnServices", false),
            ("Open*Service", "OpenCdnServices", false),
            ("*/Get*", "AccountService/GetAccount", true),
            ("*/Get*", "AccountService/ListAccounts", false),
            ("aa*aa", "aaa", false),
            ("*a*a*b", "aaab", true),
            ("a*b*b", "abab", true),
            ("a*b*b", "ab", false),
        ] {
            for case in [LetterCase::Counts, LetterCase::Ignored] {
                let matches = matches_with_stars(pattern, text, case);
                assert_eq!(matches, expected, "{pattern} {text} {case:?}");
            }
        }
    }

    #[test]
    fn letter_case_counts_or_is_ignored_in_every_part() {
        for pattern in ["OPENcdnservice", "OPEN*", "*SERVICE", "*CDN*", "Open*SERVICE"] {
            let matches = |case| matches_with_stars(pattern, "OpenCdnService", case);
            assert!(matches(LetterCase::Ignored) && !matches(LetterCase::Counts), "{pattern}");
        }
    }

    /// Backtracking would take ages here.
    #[test]
    fn a_pattern_of_many_stars_is_decided_by_the_product_of_the_lengths() {
        let pattern = format!("{}b", "*a".repeat(1000));
        let text = "a".repeat(2000);
        assert!(!matches_with_stars(&pattern, &text, LetterCase::Ignored));
        assert!(matches_with_stars(&pattern, &format!("{text}b"), LetterCase::Ignored));
    }
}
