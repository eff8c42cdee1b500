//! Texts with one entry a line.

/// Returns the lines that are an entry, without spaces around them, and their numbers. Empty lines,
/// and lines that begin with `#`, are not entries.
pub fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).zip(1..).map(|(line, number)| (number, line));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_and_comments_are_counted_and_are_not_entries() {
        let lines: Vec<_> = numbered_lines("# a\n\n b c \r\n  # d\n\t\ne # f").collect();
        assert_eq!(lines, [(3, "b c"), (6, "e # f")]);
    }
}
