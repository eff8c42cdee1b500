//! Extracts the SQL texts of sources: it evaluates `concat!` and the macros of `src/storage` on
//! their literals. It understands only as much of Rust as those sources need.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use super::Source;

/// A statement, with the name of its constant. A statement that is not a constant has the name of
/// its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub name: String,
    pub sql: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    /// A word, or a parameter of a macro with its `$`.
    Word(String),
    Mark(char),
}

/// A macro with one arm: the names of its parameters, and its body.
struct Macro {
    parameters: Vec<String>,
    body: Vec<Token>,
}

type Macros = HashMap<String, Macro>;

/// Returns every SQL text of these sources.
pub fn of(sources: &[Source]) -> Vec<Text> {
    let files: Vec<_> = sources
        .iter()
        .map(|source| {
            let code: Vec<_> = source.code().map(|(_, line)| line).collect();
            (source.name(), tokens(&code.join("\n")))
        })
        .collect();
    let mut macros = Macros::new();
    let files: Vec<_> =
        files.into_iter().map(|(name, file)| (name, take_macros(&file, &mut macros))).collect();
    files.iter().flat_map(|(name, file)| texts(name, file, &macros)).collect()
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '"' => found.push(Token::Text(text(&mut rest))),
            '\'' => skip_character(&mut rest),
            '/' if rest.peek() == Some(&'/') => while rest.next().is_some_and(|c| c != '\n') {},
            _ if next.is_alphanumeric() || next == '_' || next == '$' => {
                let mut word = next.to_string();
                while let Some(more) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(more);
                }
                found.push(Token::Word(word));
            }
            _ if next.is_whitespace() => {}
            _ => found.push(Token::Mark(next)),
        }
    }
    found
}

/// Reads the rest of a literal.
fn text(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            '"' => break,
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('\n') => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                Some(escaped) => text.push(escaped),
                None => {}
            },
            _ => text.push(next),
        }
    }
    text
}

/// Skips the rest of a character literal. After a lifetime, it skips nothing.
fn skip_character(rest: &mut Peekable<Chars<'_>>) {
    let ahead: String = rest.clone().take(2).collect();
    let length = match ahead.as_bytes() {
        [b'\\', ..] => 3,
        [_, b'\''] => 2,
        _ => 0,
    };
    for _ in 0..length {
        rest.next();
    }
}

/// Returns the tokens between the mark at `start` and the mark that closes it, and the index of the
/// latter.
fn group(tokens: &[Token], start: usize) -> (&[Token], usize) {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&tokens[start + 1..index], index);
        }
    }
    panic!("nothing closes {:?}", tokens[start]);
}

fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut depth) = (Vec::new(), 0);
    let mut start = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            Token::Mark(',') if depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Adds the macros of a file to `macros`. Returns the file without them.
fn take_macros(file: &[Token], macros: &mut Macros) -> Vec<Token> {
    let mut others = Vec::new();
    let mut index = 0;
    while index < file.len() {
        let [Token::Word(word), Token::Mark('!'), Token::Word(name), ..] = &file[index..] else {
            others.push(file[index].clone());
            index += 1;
            continue;
        };
        if word != "macro_rules" {
            others.push(file[index].clone());
            index += 1;
            continue;
        }
        let (arm, end) = group(file, index + 3);
        let (pattern, end_of_pattern) = group(arm, 0);
        let parameters = pattern.iter().filter_map(|token| match token {
            Token::Word(word) if word.starts_with('$') => Some(word.clone()),
            _ => None,
        });
        let (body, _) = group(arm, end_of_pattern + 3); // past the arrow
        macros.insert(name.clone(), Macro { parameters: parameters.collect(), body: body.into() });
        index = end + 1;
    }
    others
}

/// Returns the texts of the constants of a file, and of its other literals that are SQL.
fn texts(file: &str, tokens: &[Token], macros: &Macros) -> Vec<Text> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if let [Token::Word(word), Token::Word(name), Token::Mark(':'), ..] = &tokens[index..]
            && matches!(word.as_str(), "const" | "static")
        {
            let end = end_of_statement(tokens, index);
            let value = tokens[index..end].iter().position(|token| *token == Token::Mark('='));
            let value = value.map(|at| &tokens[index + at + 1..end]).unwrap_or_default();
            let texts = evaluate(value, &HashMap::new(), macros);
            let is_understood = texts.is_some() || !matches!(value, [_, Token::Mark('!'), ..]);
            assert!(is_understood, "{file}: the value of {name} cannot be evaluated");
            let texts = texts.unwrap_or_default();
            let sql = texts.into_iter().filter(|text| is_sql(text));
            found.extend(sql.map(|sql| Text { name: name.clone(), sql }));
            index = end;
        } else if let Token::Text(sql) = &tokens[index]
            && is_sql(sql)
        {
            found.push(Text { name: file.to_owned(), sql: sql.clone() });
        }
        index += 1;
    }
    found
}

fn end_of_statement(tokens: &[Token], start: usize) -> usize {
    let mut index = start;
    while index < tokens.len() {
        match tokens[index] {
            Token::Mark(';') => return index,
            Token::Mark('(' | '[' | '{') => index = group(tokens, index).1,
            _ => {}
        }
        index += 1;
    }
    index
}

/// A verb alone names an operation, and is no statement.
fn is_sql(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (first, is_alone) = (words.next().unwrap_or_default(), words.next().is_none());
    let verbs =
        ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "TRUNCATE", "SET", "SHOW", "CREATE"];
    verbs.contains(&first) && !is_alone
}

/// Returns the texts of an expression: one, or those of an array. Returns `None` for another kind
/// of expression.
fn evaluate(
    tokens: &[Token],
    given: &HashMap<&str, String>,
    macros: &Macros,
) -> Option<Vec<String>> {
    let one = |tokens: &[Token]| evaluate(tokens, given, macros)?.pop();
    match tokens {
        [Token::Text(text)] => Some(vec![text.clone()]),
        [Token::Word(word)] => given.get(word.as_str()).map(|text| vec![text.clone()]),
        [Token::Mark('['), ..] => split(group(tokens, 0).0).into_iter().map(one).collect(),
        [Token::Word(word), Token::Mark('!'), Token::Mark('('), ..] => {
            let arguments: Option<Vec<String>> =
                split(group(tokens, 2).0).into_iter().map(one).collect();
            let arguments = arguments?;
            if word == "concat" {
                return Some(vec![arguments.concat()]);
            }
            let called = macros.get(word)?;
            let names = called.parameters.iter().map(String::as_str);
            evaluate(&called.body, &names.zip(arguments).collect(), macros)
        }
        _ => None,
    }
}

#[test]
fn a_text_is_assembled_as_by_the_compiler() {
    let code = r#"
        macro_rules! of { ($which:literal) => { concat!("b ", $which, inner!()) }; }
        macro_rules! inner { () => { " \"d\"" }; }
        const A: &str = concat!("SELECT a ", of!("c"));
        const B: [&str; 2] = ["DELETE 1", of!("x")];
        fn f<'a>() { run("SHOW x", ',', "no SQL") }"#;
    let source = Source { path: "some.rs".into(), text: code.to_owned() };
    let texts: Vec<_> = of(&[source]).into_iter().map(|text| (text.name, text.sql)).collect();
    let expected = [("A", "SELECT a b c \"d\""), ("B", "DELETE 1"), ("some.rs", "SHOW x")];
    assert_eq!(texts, expected.map(|(name, sql)| (name.to_owned(), sql.to_owned())));
}
