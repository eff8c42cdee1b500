//! Pages of the lists of operators: sizes and authenticated tokens. A token says where the page
//! before ended and to which list it belongs. It is refused with other arguments of the list.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::auth::secret::SealingKey;
use crate::error::Error;

const DEFAULT_SIZE: i32 = 50;
const LARGEST_SIZE: i32 = 1000;
/// Bytes of the authentication code in front of a token.
const CODE_BYTES: usize = 16;

/// Creates and reads page tokens. All replicas have the same key, and clones share its HMAC state.
#[derive(Clone)]
pub(in crate::grpc) struct PageTokens(Arc<Hmac<Sha256>>);

/// The page that a request asks for.
pub(super) struct PageRequest {
    /// Largest number of rows of the page.
    pub size: usize,
    /// The key at which the page before ended; `None` for the first page.
    pub after: Option<String>,
}

impl PageTokens {
    /// Derives the key of page tokens.
    pub fn new(sealing_key: &SealingKey) -> Self {
        let key = sealing_key.derive("page tokens");
        let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(&key);
        Self(Arc::new(keyed.expect("HMAC takes a key of any length")))
    }

    /// Reads page size and token. `list` is the name of the list with its other arguments.
    pub(super) fn page(&self, list: &str, size: i32, token: &str) -> Result<PageRequest, Error> {
        let size = match size {
            ..0 => return Err(Error::field("page_size", "is negative")),
            0 => DEFAULT_SIZE,
            _ => size.min(LARGEST_SIZE),
        };
        let wrong =
            || Error::field("page_token", "is not a token of this list with these arguments");
        let after = match token {
            "" => None,
            token => Some(self.read(list, token).ok_or_else(wrong)?),
        };
        Ok(PageRequest { size: usize::try_from(size).unwrap_or_default(), after })
    }

    /// Returns the token of the next page, or an empty text if there is none.
    pub(super) fn next(&self, list: &str, end: Option<String>) -> String {
        end.map(|end| self.token(list, &end)).unwrap_or_default()
    }

    fn token(&self, list: &str, end: &str) -> String {
        let code = self.mac(list, end).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&code[..CODE_BYTES], end.as_bytes()].concat())
    }

    fn read(&self, list: &str, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (code, end) = bytes.split_at_checked(CODE_BYTES)?;
        let end = std::str::from_utf8(end).ok()?;
        self.mac(list, end).verify_truncated_left(code).ok()?;
        Some(end.to_owned())
    }

    fn mac(&self, list: &str, end: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::clone(&self.0);
        mac.update(list.as_bytes());
        mac.update(&[0]); // separates the two texts: no list has a NUL in its name
        mac.update(end.as_bytes());
        mac
    }
}

impl std::fmt::Debug for PageTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PageTokens(…)")
    }
}

impl PageRequest {
    /// Returns how many rows to read. One more row than the page has shows whether there is a next
    /// page.
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

    fn tokens() -> PageTokens {
        PageTokens::new(&SealingKey::parse(&SealingKey::generate().unwrap()).unwrap())
    }

    #[test]
    fn a_token_is_valid_only_for_its_own_list() {
        let tokens = tokens();
        let token = tokens.token("accounts", "42");
        assert_eq!(tokens.page("accounts", 0, &token).unwrap().after.as_deref(), Some("42"));
        assert!(tokens.page("instances", 0, &token).is_err());
        assert!(super::tests::tokens().page("accounts", 0, &token).is_err(), "another key");
        for wrong in ["x", "AAAA", &token[1..], &format!("{token}A"), &token.to_lowercase()] {
            assert!(tokens.page("accounts", 0, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_size_has_a_maximum_and_is_not_negative() {
        let size = |size| tokens().page("accounts", size, "").map(|page| page.size);
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
