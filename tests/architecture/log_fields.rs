//! The fields of log lines are those that `docs/operating.md` lists, and each of them occurs in a
//! line of the service.

use std::collections::BTreeSet;

use super::sources;

const PAGE: &str = include_str!("../../docs/operating.md");
/// What begins a line of level `info` or above. The last one is the macro of the line of a call.
const MACROS: [&str; 5] =
    ["tracing::info!(", "tracing::warn!(", "tracing::error!(", "tracing::$level!(", " line!("];
/// What only other commands write, as text for people.
const OF_COMMANDS: [&str; 5] = [
    "src/commands/dev",
    "src/commands/migrate.rs",
    "src/commands/reseal.rs",
    "src/storage/migrating.rs",
    "src/storage/distributing.rs",
];
/// Fields that no macro of this program writes: those that every line has, and those of a line that
/// was cut.
const OF_THE_WRITER: [&str; 6] = ["timestamp", "level", "target", "message", "bytes", "start"];

/// Returns the arguments of a macro, from the text after its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    let mut arguments = vec![String::new()];
    for character in text.chars() {
        let was_in_text = in_text;
        if character == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = character == '\\' && !escaped;
        match character {
            ')' | ']' | '}' if !was_in_text && depth == 0 => break,
            '(' | '[' | '{' if !was_in_text => depth += 1,
            ')' | ']' | '}' if !was_in_text => depth -= 1,
            ',' | ';' if !was_in_text && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().expect("one").push(character);
    }
    arguments
}

/// Returns the name of the field that an argument of a macro writes, if it writes one.
fn field(argument: &str) -> Option<&str> {
    let argument = argument.trim();
    if argument.starts_with(['"', '$']) {
        return None;
    }
    let name = argument.split_once('=').map_or(argument, |(name, _)| name);
    let name = name.trim().trim_start_matches(['%', '?']);
    let is_name = name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    (is_name && !name.is_empty()).then_some(name)
}

/// Returns the fields that the macros of the sources write.
fn written() -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for source in sources("src") {
        if OF_COMMANDS.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        let text = source.code().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        for name in MACROS {
            for after in text.split(name).skip(1) {
                // The arguments of the level and of the fields of `line!` are separate.
                let arguments = arguments(after);
                let skipped = usize::from(name == " line!(");
                let names = arguments.iter().skip(skipped).filter_map(|argument| field(argument));
                fields.extend(names.map(str::to_owned));
            }
        }
    }
    fields
}

/// Returns the fields that the page lists.
fn listed() -> BTreeSet<String> {
    let (_, section) = PAGE.split_once("\n## The log\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_documentation_lists_the_fields_of_log_lines() {
    let mut expected = written();
    expected.extend(OF_THE_WRITER.map(str::to_owned));
    assert_eq!(listed(), expected);
}

#[test]
fn the_fields_of_a_macro_are_found() {
    let arguments = arguments(r#"%request_id, code = ?made.code(1, 2), peer, "a, {b}"); rest()"#);
    let fields: Vec<_> = arguments.iter().filter_map(|argument| field(argument)).collect();
    assert_eq!(fields, ["request_id", "code", "peer"]);
}
