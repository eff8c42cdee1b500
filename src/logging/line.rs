//! The length of a log line. It is bounded, so the memory of lines that wait to be written is
//! bounded.

use std::borrow::Cow;

use serde_json::json;

use super::Form;

/// The longest line, in bytes.
pub(super) const LONGEST: usize = 8 * 1024;
/// Bytes that are kept of a longer line. In a JSON string, a quote takes two bytes.
const KEPT: usize = 4000;

/// Returns the line, or its beginning and its length if it is too long. A cut line has the same
/// form.
pub(super) fn cut(line: &[u8], form: Form) -> Cow<'_, [u8]> {
    if line.len() <= LONGEST {
        return Cow::Borrowed(line);
    }
    let (start, _) = line.split_at(KEPT);
    let start = String::from_utf8_lossy(start);
    let start = start.trim_end_matches(char::REPLACEMENT_CHARACTER); // a character that was cut
    let (message, bytes) = ("a log line was cut", line.len());
    let cut = match form {
        Form::Json => {
            json!({ "level": "WARN", "message": message, "bytes": bytes, "start": start })
                .to_string()
        }
        Form::Text => format!("{start} ({message}: it has {bytes} bytes)"),
    };
    Cow::Owned((cut + "\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_line_of_the_longest_length_stays_as_it_is() {
        let line = [b'a'; LONGEST];
        for form in [Form::Json, Form::Text] {
            assert!(matches!(cut(&line, form), Cow::Borrowed(same) if same == line));
        }
    }

    #[test]
    fn a_longer_line_is_cut_and_stays_a_line_of_its_form() {
        for text in ["ä", "\"", "\\", "a", "a€"] {
            let line = json!({ "message": text.repeat(LONGEST) }).to_string() + "\n";
            let json = cut(line.as_bytes(), Form::Json);
            assert!(json.len() <= LONGEST, "{text}: {}", json.len());
            let (end, json) = json.split_last().unwrap();
            let json: Value = serde_json::from_slice(json).unwrap();
            assert_eq!((*end, &json["bytes"]), (b'\n', &line.len().into()));
            assert!(line.starts_with(json["start"].as_str().unwrap()));

            let plain = cut(line.as_bytes(), Form::Text);
            let plain = str::from_utf8(&plain).unwrap();
            let mark = format!(" (a log line was cut: it has {} bytes)\n", line.len());
            assert!(line.starts_with(plain.strip_suffix(&mark).unwrap()));
        }
    }
}
