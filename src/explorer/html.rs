//! Fills templates of HTML.

/// Returns a text with the characters escaped that have a meaning in HTML, in attributes too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

/// Returns a text as HTML in which what stands between backticks is code.
#[must_use]
pub fn inline(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        match index % 2 {
            0 => html.push_str(&part),
            _ => html.extend(["<code>", &part, "</code>"]),
        }
    }
    html
}

/// Returns a template with the HTML of each slot `{{name}}` in its place. A slot without a value is
/// left out. The values are not searched for slots.
#[must_use]
pub fn fill(template: &str, slots: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = slots.iter().find(|(slot, _)| *slot == name).map(|(_, html)| *html);
        debug_assert!(value.is_some(), "the slot {name} has no value");
        filled.extend([before, value.unwrap_or_default()]);
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_character_is_escaped() {
        let escaped = "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt; &amp;amp; é";
        assert_eq!(escape("<a b=\"c\" d='e'> &amp; é"), escaped);
        assert_eq!(inline("a `<b>` c `d`"), "a <code>&lt;b&gt;</code> c <code>d</code>");
    }

    #[test]
    fn slots_are_filled_once() {
        let slots = [("a", "{{b}}"), ("b", "<b>")];
        assert_eq!(fill("{{a}}-{{b}}-{c}{{b}}", &slots), "{{b}}-<b>-{c}<b>");
        assert_eq!(fill("no slot", &slots), "no slot");
    }
}
