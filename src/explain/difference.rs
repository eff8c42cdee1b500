//! The first byte in which two strings differ.

use serde::Serialize;

/// Characters of context on each side.
const CONTEXT: usize = 24;

/// Where a client's own string differs from that of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Offset in bytes.
    pub at: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The server's string around the place.
    pub server: String,
    /// The client's string around the place.
    pub client: String,
    /// Characters of both contexts before the place.
    pub context_before: usize,
}

/// Returns the first difference of two strings, at the start of a character.
#[must_use]
pub fn difference(server: &str, client: &str) -> Option<Difference> {
    if server == client {
        return None;
    }
    let same = server.chars().zip(client.chars()).take_while(|(one, other)| one == other);
    let at: usize = same.map(|(one, _)| one.len_utf8()).sum();
    let before = &server[..at];
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    let start = before.char_indices().rev().take(CONTEXT).last().map_or(at, |(start, _)| start);
    let context = |text: &str| {
        let after: String = text[at..].chars().take(CONTEXT).collect();
        format!("{}{after}", &text[start..at])
    };
    Some(Difference {
        at,
        line: before.matches('\n').count() + 1,
        column: last_line.chars().count() + 1,
        server: context(server),
        client: context(client),
        context_before: before[start..].chars().count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_counted_in_bytes_lines_and_columns() {
        assert_eq!(difference("a\nb", "a\nb"), None);
        let found = difference("é\nab%20c", "é\nab+c").unwrap();
        assert_eq!((found.at, found.line, found.column), (5, 2, 3));
        assert_eq!((found.server.as_str(), found.client.as_str()), ("é\nab%20c", "é\nab+c"));
        assert_eq!(found.context_before, 4);
        let found = difference("", "x").unwrap();
        assert_eq!((found.at, found.line, found.column, found.context_before), (0, 1, 1, 0));
        let long = "x".repeat(100);
        assert_eq!(difference(&long, &format!("{long}é")).unwrap().client.chars().count(), 25);
    }
}
