//! Decodes a query and a form body: `+` is a blank and `%XX` is a byte. A parameter cannot be used
//! if its decoded bytes are not UTF-8, or have a control character, which a reply in XML cannot
//! show.

use percent_encoding::percent_decode;

use crate::auth::signature::{Parameter, Parameters};

/// Decodes the parameters of a query and of a form body. The second value is the name of the first
/// parameter that cannot be used, without the characters that cannot be shown; `None` if all can.
#[must_use]
pub fn decode(query: &[u8], form: &[u8]) -> (Parameters, Option<String>) {
    let mut parameters = Vec::new();
    let mut unusable = None;
    for (raw, in_form) in [(query, false), (form, true)] {
        let raw: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        // Empty parts are skipped, as between `&&`.
        for part in raw.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            match decode_parameter(part) {
                Ok((name, value)) => parameters.push(Parameter { name, value, in_form }),
                Err(name) => unusable = unusable.or(Some(name)),
            }
        }
    }
    (Parameters::new(parameters), unusable)
}

/// Decodes `name=value`. Without a `=`, the value is empty. If the parameter cannot be used, the
/// error is its name, without the characters that cannot be shown.
fn decode_parameter(part: &[u8]) -> Result<(String, String), String> {
    let mut sides = part.splitn(2, |byte| *byte == b'=');
    let name = decode_text(sides.next().unwrap_or_default())?;
    match decode_text(sides.next().unwrap_or_default()) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(name),
    }
}

/// Decodes the escapes of a text. A `%` that is not followed by two hex digits stands for itself.
/// If the text cannot be used, the error is the text, without the characters that cannot be shown.
fn decode_text(escaped: &[u8]) -> Result<String, String> {
    let decoded = percent_decode(escaped);
    match decoded.clone().decode_utf8() {
        Ok(text) if text.chars().all(may_be_in_xml) => Ok(text.into_owned()),
        _ => Err(decoded.decode_utf8_lossy().chars().filter(|c| may_be_in_xml(*c)).collect()),
    }
}

fn may_be_in_xml(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests;
