//! Pages of the lists of operators: sizes and authenticated tokens. A token says where the page
//! before ended and to which list it belongs. It is refused with other arguments of the list.

use crate::auth::sealing::{BoundTexts, KeyRing};
use crate::error::Error;

const DEFAULT_SIZE: i32 = 50;
const LARGEST_SIZE: i32 = 1000;

/// Creates and reads page tokens. All replicas have the same key ring.
#[derive(Clone, Debug)]
pub struct PageTokens(BoundTexts);

/// The page that a request asks for.
#[derive(Debug)]
pub struct PageRequest {
    /// Largest number of rows of the page.
    pub size: usize,
    /// The key at which the page before ended; `None` for the first page.
    pub after: Option<String>,
}

impl PageTokens {
    /// Creates the page tokens of a deployment.
    #[must_use]
    pub fn new(key_ring: KeyRing) -> Self {
        Self(BoundTexts::new(key_ring, "page tokens"))
    }

    /// Reads page size and token. `list` is the name of the list with its other arguments. A token
    /// is of no use to another caller.
    pub fn page(
        &self,
        caller: &str,
        list: &str,
        size: i32,
        token: &str,
    ) -> Result<PageRequest, Error> {
        let size = match size {
            ..0 => return Err(Error::field("page_size", "is negative")),
            0 => DEFAULT_SIZE,
            _ => size.min(LARGEST_SIZE),
        };
        let wrong =
            || Error::field("page_token", "is not a token of this list with these arguments");
        let after = match token {
            "" => None,
            token => Some(self.read(caller, list, token).ok_or_else(wrong)?),
        };
        Ok(PageRequest { size: usize::try_from(size).unwrap_or_default(), after })
    }

    /// Returns the token of the next page, or an empty text if there is none.
    #[must_use]
    pub fn next(&self, caller: &str, list: &str, end: Option<String>) -> String {
        let token = |end: String| self.0.write(&[caller, list], end.as_bytes());
        end.map(token).unwrap_or_default()
    }

    fn read(&self, caller: &str, list: &str, token: &str) -> Option<String> {
        String::from_utf8(self.0.read(&[caller, list], token)?).ok()
    }
}

impl PageRequest {
    /// Returns how many rows to read. One more row than the page has shows whether there is a next
    /// page.
    #[must_use]
    pub fn read_size(&self) -> i64 {
        i64::try_from(self.size + 1).unwrap_or(i64::MAX)
    }

    /// Cuts the rows to the page. Returns the key at which it ends, if another page follows.
    pub fn cut<T>(&self, rows: &mut Vec<T>, end: impl Fn(&T) -> String) -> Option<String> {
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        more.then(|| rows.last().map(end)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::sealing::SealingKey;

    fn tokens() -> PageTokens {
        PageTokens::new(KeyRing::parse(&SealingKey::generate().unwrap()).unwrap())
    }

    #[test]
    fn a_token_is_valid_only_for_its_own_list_and_caller() {
        let tokens = tokens();
        let token = tokens.next("billing", "accounts", Some("42".to_owned()));
        assert_eq!(
            tokens.page("billing", "accounts", 0, &token).unwrap().after.as_deref(),
            Some("42")
        );
        assert!(tokens.page("billing", "instances", 0, &token).is_err());
        assert!(tokens.page("console", "accounts", 0, &token).is_err());
        assert!(
            super::tests::tokens().page("billing", "accounts", 0, &token).is_err(),
            "another key"
        );
        for wrong in ["x", "AAAA", &token[1..], &format!("{token}A"), &token.to_lowercase()] {
            assert!(tokens.page("billing", "accounts", 0, wrong).is_err(), "{wrong}");
        }
        assert_eq!(tokens.next("billing", "accounts", None), "");
    }

    #[test]
    fn a_page_size_has_a_maximum_and_is_not_negative() {
        let size = |size| tokens().page("billing", "accounts", size, "").map(|page| page.size);
        assert_eq!((size(0).unwrap(), size(7).unwrap(), size(5000).unwrap()), (50, 7, 1000));
        assert!(size(-1).is_err());
    }

    #[test]
    fn there_is_a_next_page_only_if_more_rows_were_read_than_the_page_has() {
        let page = PageRequest { size: 2, after: None };
        let mut rows = vec![1, 2, 3];
        assert_eq!(page.cut(&mut rows, ToString::to_string), Some("2".to_owned()));
        assert_eq!(rows, [1, 2]);
        assert_eq!(page.cut(&mut rows, ToString::to_string), None);
    }
}
