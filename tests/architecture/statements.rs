//! Checks that every SQL text of `src/storage` runs on one `PostgreSQL` and on Citus, which stores
//! the accounts on several servers. The rules are in `docs/database.md`.

use std::fs;

use super::sources;
use super::sql_texts::{self, Text};

/// The tables that are distributed by account.
const OWNED: [&str; 8] = [
    "accounts",
    "instances",
    "orders",
    "charge_type_changes",
    "operation_locks",
    "event_outbox",
    "order_intents",
    "audit_records",
];

/// Statements that do not name an account for each table, with the reason.
const OF_MANY_ACCOUNTS: [(&str, &str); 13] = [
    ("LIST_ACCOUNTS", "a list for operators"),
    ("LIST_INSTANCES", "a list for operators"),
    ("LIST_INSTANCES_OF_PRODUCT", "a list for operators"),
    ("LIST_AUDIT_RECORDS", "a list for operators"),
    ("FORGET_AUDIT_RECORDS", "it deletes old rows of all accounts"),
    ("LATEST_SUBMISSION", "only dev runs it"),
    ("DUE_CHANGES", "a poll, which locks nothing"),
    ("DUE_INTENTS", "a poll, which locks nothing"),
    ("FORGET_SETTLED_INTENTS", "it deletes old rows of all accounts"),
    ("WAITING_EVENTS", "a count, which locks nothing"),
    ("OPEN_INTENTS", "a count, which locks nothing"),
    ("WAITING_LANES", "a lane has the events of many accounts"),
    ("MOVE", "a lane has the events of many accounts"),
];

/// Statements that lock rows of several accounts.
const LOCKS_MANY: [(&str, &str); 1] =
    [("OPEN_INSTANCES", "on Citus the openings of a group are written one by one")];

/// Files whose statements may read the clock.
const CLOCKS: [(&str, &str); 1] =
    [("src/storage/leases.rs", "leases use the clock of the database")];

/// A part of a statement in parentheses, or the whole statement, without the parts that it
/// contains.
struct Part {
    words: Vec<String>,
    /// Whether it is in the arguments of a coalesce.
    in_coalesce: bool,
    /// Whether it is in a row of VALUES.
    in_values: bool,
}

/// Splits a statement into words, parameters with their `$`, names with their dots, and single
/// marks.
fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut goes_on = false;
    for character in sql.chars() {
        let is_of_word = character.is_alphanumeric() || "_$.".contains(character);
        match words.last_mut() {
            Some(last) if is_of_word && goes_on => last.push(character),
            _ if character.is_whitespace() => {}
            _ => words.push(character.to_string()),
        }
        goes_on = is_of_word;
    }
    words
}

fn parts(sql: &str) -> Vec<Part> {
    let whole = Part { words: Vec::new(), in_coalesce: false, in_values: false };
    let (mut open, mut closed) = (vec![whole], Vec::new());
    for word in words(sql) {
        let current = open.last_mut().expect("parentheses are balanced");
        match word.as_str() {
            "(" => {
                let called = current.words.last().map(|word| word.to_lowercase());
                let called = called.as_deref();
                let in_coalesce = current.in_coalesce || called == Some("coalesce");
                let in_values = current.in_values || called == Some("values");
                current.words.push("(".to_owned());
                open.push(Part { words: Vec::new(), in_coalesce, in_values });
            }
            ")" => {
                // A part that is not a statement is a list, a call or a condition. It belongs to
                // the part around it.
                let part = open.pop().expect("parentheses are balanced");
                let around = open.last_mut().expect("parentheses are balanced");
                if part.is_statement() {
                    closed.push(part);
                } else {
                    around.words.extend(part.words);
                }
                around.words.push(")".to_owned());
            }
            _ => current.words.push(word),
        }
    }
    closed.extend(open);
    closed
}

impl Part {
    fn is_statement(&self) -> bool {
        let first = self.words.first().map(String::as_str);
        matches!(first, Some("SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH"))
    }

    fn says(&self, words: &[&str]) -> bool {
        self.words.windows(words.len()).any(|window| window == words)
    }

    /// Returns the distributed tables that it reads or changes or, if `inserted`, into which it
    /// inserts.
    fn owned(&self, inserted: bool) -> Vec<&str> {
        let before = |index: usize| index.checked_sub(1).map(|before| self.words[before].as_str());
        let named = self.words.iter().enumerate().filter(|(index, word)| {
            let leads = if inserted { &["INTO"][..] } else { &["FROM", "JOIN", "UPDATE"] };
            OWNED.contains(&word.as_str())
                && before(*index).is_some_and(|word| leads.contains(&word))
        });
        named.map(|(_, word)| word.as_str()).collect()
    }

    /// Returns whether an account is named for a table by a bound parameter.
    fn names_account(&self, table: &str, many_too: bool) -> bool {
        let qualified = format!("{table}.account_id");
        self.words.windows(4).any(|window| {
            let is_account = window[0] == "account_id" || window[0] == qualified;
            let is_bound = window[2].starts_with('$') || many_too && window[2] == "ANY";
            is_account && window[1] == "=" && is_bound
        }) || self.ends_with_account(&qualified)
    }

    fn ends_with_account(&self, qualified: &str) -> bool {
        let [.., column, equals, value] = &self.words[..] else { return false };
        (column == "account_id" || column == qualified) && equals == "=" && value.starts_with('$')
    }

    fn changes_owned(&self) -> bool {
        self.says(&["UPDATE"]) && !self.owned(false).is_empty() || !self.owned(true).is_empty()
    }
}

fn is_listed(list: &[(&str, &str)], text: &Text) -> bool {
    list.iter().any(|(name, _)| *name == text.name)
}

/// Returns the rules that a statement breaks.
fn faults(text: &Text) -> Vec<String> {
    let mut faults = Vec::new();
    let parts = parts(&text.sql);
    let changes_owned = parts.iter().any(Part::changes_owned);
    for part in &parts {
        if part.says(&["SELECT", "*"]) || part.says(&["RETURNING", "*"]) {
            faults.push("columns are named, not *".to_owned());
        }
        let time = ["now", "clock_timestamp", "CURRENT_TIMESTAMP"];
        if time.iter().any(|word| part.says(&[word])) && !is_listed(&CLOCKS, text) {
            faults.push("times are bound".to_owned());
        }
        for table in part.owned(false) {
            if !part.names_account(table, true) && !is_listed(&OF_MANY_ACCOUNTS, text) {
                faults.push(format!("it names no account of {table}"));
            }
            let locks = part.says(&["FOR", "SHARE"])
                || part.says(&["FOR", "UPDATE"])
                || part.says(&["FOR", "NO", "KEY", "UPDATE"]);
            if locks && !part.names_account(table, false) && !is_listed(&LOCKS_MANY, text) {
                faults.push(format!("it locks {table} of several accounts"));
            }
        }
        for table in part.owned(true) {
            if !part.says(&["INTO", table, "(", "account_id"]) {
                faults.push(format!("the first column of {table} is the account"));
            }
        }
        if part.in_coalesce && part.is_statement() && changes_owned {
            faults.push(
                "a sub-select is in a coalesce: Citus refuses it in a statement that changes rows"
                    .to_owned(),
            );
        }
        if part.in_values && part.is_statement() {
            faults.push("a sub-select is in VALUES: Citus refuses it".to_owned());
        }
        if part.says(&["+", "interval"]) && !part.says(&["timezone"]) {
            faults.push("an interval is added to a time with a zone: Citus refuses it".to_owned());
        }
        if part.says(&["ON", "CONFLICT"]) && !part.says(&["ON", "CONFLICT", "("]) {
            faults.push("ON CONFLICT names its columns".to_owned());
        }
        if part.says(&["DO", "UPDATE"]) && part.says(&["statement_timestamp"]) {
            faults.push("a DO UPDATE reads the clock".to_owned());
        }
    }
    faults
}

#[test]
fn every_statement_follows_the_rules() {
    let texts = sql_texts::of(&sources("src/storage"));
    assert!(texts.len() > 60, "{} texts", texts.len());
    let faults: Vec<_> = texts
        .iter()
        .flat_map(|text| faults(text).into_iter().map(|fault| format!("{}: {fault}", text.name)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every statement as text, so that a review shows which of them a change affects.
/// `UPDATE_STATEMENTS=1 cargo test --test architecture` writes the file again.
const STATEMENTS: &str = "tests/architecture/statements.sql";

#[test]
fn the_file_of_statements_is_current() {
    let mut texts = sql_texts::of(&sources("src/storage"));
    texts.sort_by(|one, other| (&one.name, &one.sql).cmp(&(&other.name, &other.sql)));
    let written = texts.iter().map(|Text { name, sql }| {
        let lines = sql.lines().map(str::trim).filter(|line| !line.is_empty());
        format!("-- {name}\n{};\n", lines.collect::<Vec<_>>().join("\n"))
    });
    let written = written.collect::<Vec<_>>().join("\n");
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
    let update = std::env::var_os("UPDATE_STATEMENTS").is_some();
    if update {
        fs::write(STATEMENTS, &written).expect("written");
    }
    let current = fs::read_to_string(STATEMENTS).unwrap_or_default();
    assert!(
        current == written,
        "{STATEMENTS} is not current: run with UPDATE_STATEMENTS=1 to write it again"
    );
}

#[test]
fn every_exception_is_needed_by_a_statement() {
    let texts = sql_texts::of(&sources("src/storage"));
    for (name, _) in [&OF_MANY_ACCOUNTS[..], &LOCKS_MANY, &CLOCKS].concat() {
        let of_name: Vec<_> = texts.iter().filter(|text| text.name == name).collect();
        assert!(!of_name.is_empty(), "there is no {name}");
        let unlisted = of_name.iter().any(|text| {
            let unlisted = Text { name: String::new(), sql: text.sql.clone() };
            !faults(&unlisted).is_empty()
        });
        assert!(unlisted, "{name} needs no exception");
    }
}

#[test]
fn each_rule_finds_a_statement_that_breaks_it() {
    let broken = [
        "SELECT * FROM accounts WHERE account_id = $1",
        "DELETE FROM orders WHERE account_id = $1 RETURNING *",
        "SELECT site FROM accounts WHERE site = $1",
        "SELECT site FROM accounts WHERE account_id = (SELECT 1)",
        "SELECT 1 FROM accounts JOIN instances ON instances.account_id = accounts.account_id
            WHERE accounts.account_id = $1",
        "SELECT (SELECT count(reason) FROM operation_locks WHERE product = $2)
            FROM instances WHERE account_id = ANY($1)",
        "UPDATE leases SET expires_at = now()",
        "SELECT account_id FROM accounts WHERE account_id = ANY($1) FOR SHARE SKIP LOCKED",
        "UPDATE instances SET locks = coalesce((SELECT 1 FROM leases), 0)
            WHERE account_id = $1",
        "INSERT INTO orders (order_id, account_id) VALUES ($1, $2)",
        "INSERT INTO leases (name, holder) VALUES ($1, (SELECT holder FROM leases LIMIT 1))",
        "UPDATE accounts SET event_time = event_time + interval '1 second' WHERE account_id = $1",
        "INSERT INTO leases (name) VALUES ($1) ON CONFLICT DO NOTHING",
        "INSERT INTO leases (name) VALUES ($1)
            ON CONFLICT (name) DO UPDATE SET expires_at = statement_timestamp()",
    ];
    for sql in broken {
        let text = Text { name: "BROKEN".to_owned(), sql: sql.to_owned() };
        assert_eq!(faults(&text).len(), 1, "{sql}: {:?}", faults(&text));
    }
    let whole = "WITH a AS (SELECT account_id FROM accounts WHERE account_id = $1 FOR SHARE)
        INSERT INTO orders (account_id, order_id) SELECT account_id, $2 FROM a
        ON CONFLICT (account_id, order_id) DO NOTHING";
    let text = Text { name: "WHOLE".to_owned(), sql: whole.to_owned() };
    assert_eq!(faults(&text), [""; 0]);
}
