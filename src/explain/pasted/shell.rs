//! Splits a command into words as a shell does.

/// A command, split into words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words, without quotes.
    pub words: Vec<String>,
    /// Whether an `&` outside quotes ended the command early. It was read as a part of its word.
    pub ended_by_ampersand: bool,
}

/// Splits the first command of a text. Quotes, escapes, `$'…'` and continued lines are read as bash
/// reads them, and `^` at the end of a line as Windows does.
#[must_use]
pub fn words(text: &str) -> Words {
    let mut found = Words::default();
    let mut word: Option<String> = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\'' => quoted(&mut rest, '\'', word.get_or_insert_default()),
            '"' => quoted(&mut rest, '"', word.get_or_insert_default()),
            '$' if rest.peek() == Some(&'\'') => {
                rest.next();
                quoted(&mut rest, '$', word.get_or_insert_default());
            }
            '\\' | '^' if matches!(rest.peek(), Some('\n' | '\r')) => {
                while rest.next_if(|next| matches!(next, '\n' | '\r')).is_some() {}
                found.words.extend(word.take());
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '\n' | ';' | '|' | '>' if word.is_some() || !found.words.is_empty() => break,
            '&' => {
                let is_last = rest.peek().is_none_or(|next| next.is_whitespace() || *next == '&');
                if is_last {
                    break;
                }
                found.ended_by_ampersand = true;
                word.get_or_insert_default().push('&');
            }
            _ if character.is_whitespace() => found.words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    found.words.extend(word);
    found
}

/// Reads up to the closing quote. `kind` is `'`, `"`, or `$` for `$'…'`.
fn quoted(rest: &mut impl Iterator<Item = char>, kind: char, word: &mut String) {
    let end = if kind == '$' { '\'' } else { kind };
    while let Some(character) = rest.next() {
        match character {
            _ if character == end => return,
            '\\' if kind == '"' => match rest.next() {
                Some('\n') | None => {}
                Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
            },
            '\\' if kind == '$' => match rest.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                next => word.extend(next),
            },
            _ => word.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        let split = |text: &str| words(text).words;
        assert_eq!(split("curl -X  GET 'a b'\"c\\\"d\"e"), ["curl", "-X", "GET", "a bc\"de"]);
        assert_eq!(split("curl \\\n  'x' \\\r\n y ^\n z\nnext"), ["curl", "x", "y", "z"]);
        assert_eq!(split("curl $'a\\'b\\n' ''"), ["curl", "a'b\n", ""]);
        assert_eq!(split("curl a\\&b | jq"), ["curl", "a&b"]);
        assert_eq!(split("\n curl 'open"), ["curl", "open"]);
        let ended = words("curl http://h/?a=1&b=2 &");
        assert_eq!((ended.words.len(), ended.ended_by_ampersand), (2, true));
        assert!(!words("curl 'a&b' & b").ended_by_ampersand);
    }
}
