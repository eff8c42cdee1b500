//! Checks that a migration can run while the service serves, and while programs of the version before
//! it serve: each statement has one of the forms below. `docs/database.md`, "Changing the schema", says
//! why.

use std::fs;

/// The number of migrations that create the schema in an empty database. Later migrations run in a
/// database with rows and callers.
const FIRST_MIGRATIONS: usize = 5;

/// The mark of a file with an index, which is built without a lock outside a transaction.
const OUTSIDE: &str = "-- no-transaction\n";
/// The mark of a file that drops what no supported version uses. A version follows it.
const UNUSED_SINCE: &str = "-- unused since ";

/// The forms of a statement. Of the words in lower case, `name`, `type`, `constant` and `text` stand for
/// such a word, `group` for something in parentheses, and `condition` for all that follows.
const FORMS: [&str; 9] = [
    "CREATE TABLE name group",
    "CREATE TABLE name group WITH group",
    "ALTER TABLE name ADD COLUMN name type",
    "ALTER TABLE name ADD COLUMN name type DEFAULT constant",
    "ALTER TABLE name ADD COLUMN name type NOT NULL DEFAULT constant",
    "ALTER TABLE name ADD CONSTRAINT name CHECK group NOT VALID",
    "ALTER TABLE name ADD CONSTRAINT name UNIQUE USING INDEX name",
    "ALTER TABLE name VALIDATE CONSTRAINT name",
    "INSERT INTO name group VALUES group",
];
/// The forms in a file that is marked with [`OUTSIDE`].
const FORMS_OUTSIDE: [&str; 5] = [
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS name ON name group",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS name ON name group WHERE condition",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS name ON name group",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS name ON name group WHERE condition",
    "DROP INDEX CONCURRENTLY IF EXISTS name",
];
/// The forms in a file that is marked with [`UNUSED_SINCE`].
const FORMS_OF_UNUSED: [&str; 3] = [
    "DROP TABLE name",
    "ALTER TABLE name DROP COLUMN name",
    "ALTER TABLE name DROP CONSTRAINT name",
];
/// The forms of a statement that may follow.
const FORMS_OF_COMMENTS: [&str; 4] = [
    "COMMENT ON TABLE name IS text",
    "COMMENT ON COLUMN name IS text",
    "COMMENT ON CONSTRAINT name ON name IS text",
    "COMMENT ON INDEX name IS text",
];
/// The types of a new column.
const TYPES: [&str; 10] = [
    "bigint",
    "bigint[]",
    "boolean",
    "bytea",
    "integer",
    "jsonb",
    "smallint",
    "text",
    "timestamptz",
    "uuid",
];
/// Words that the columns of a new table do not have. A reference locks the other table, and the
/// service makes every id.
const NOT_IN_A_TABLE: [&str; 5] = ["REFERENCES", "GENERATED", "SERIAL", "BIGSERIAL", "SMALLSERIAL"];

/// Returns the statements of a file as words. A text in quotes is one word, and so is a group in
/// parentheses.
fn statements(file: &str) -> Vec<Vec<String>> {
    let (mut statements, mut depth) = (vec![Vec::<String>::new()], 0_u32);
    for word in words(file) {
        let statement = statements.last_mut().expect("there is one");
        match word.as_str() {
            ";" if depth == 0 => statements.push(Vec::new()),
            ")" if depth == 0 => statement.push(word),
            _ => {
                let is_in_group = depth > 0;
                depth += u32::from(word == "(");
                depth -= u32::from(word == ")");
                match statement.last_mut().filter(|_| is_in_group) {
                    Some(group) => *group = format!("{group} {word}"),
                    None => statement.push(word),
                }
            }
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}

fn words(file: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = file;
    while let Some(first) = rest.chars().next() {
        let ends_word = |c: char| c.is_whitespace() || "(),;'".contains(c);
        let length = match first {
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            // Two quotes in a text are two texts here, which are in no form.
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ if ends_word(first) => first.len_utf8(),
            _ => rest.find(ends_word).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(length);
        if !word.starts_with("--") && !first.is_whitespace() {
            words.push(word.to_owned());
        }
        rest = after;
    }
    words
}

fn has_form(statement: &[String], form: &str) -> bool {
    let mut words = statement.iter();
    for expected in form.split(' ') {
        if expected == "condition" {
            return words.next().is_some();
        }
        let Some(word) = words.next() else { return false };
        let fits = match expected {
            "name" => is_name(word),
            "type" => TYPES.contains(&word.as_str()),
            "constant" => {
                is_text(word) || is_number(word) || ["true", "false"].contains(&word.as_str())
            }
            "text" => is_text(word),
            "group" => word.starts_with("( ") && word.ends_with(" )"),
            keyword => word == keyword,
        };
        if !fits {
            return false;
        }
    }
    words.next().is_none()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c))
}

fn is_text(word: &str) -> bool {
    word.len() > 1 && word.starts_with('\'') && word.ends_with('\'')
}

fn is_number(word: &str) -> bool {
    word.parse::<i64>().is_ok()
}

/// Returns whether the file begins with a mark that names a version such as 0.3.0.
fn names_version(file: &str) -> bool {
    let version = file.strip_prefix(UNUSED_SINCE).and_then(|after| after.lines().next());
    version.is_some_and(|version| {
        let parts: Vec<_> = version.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
    })
}

/// Returns what is wrong with a migration.
fn problem(file: &str) -> Option<String> {
    let statements = statements(file);
    let Some((change, comments)) = statements.split_first() else {
        return Some("it has no statement".to_owned());
    };
    let forms: &[&str] = match () {
        () if file.starts_with(OUTSIDE) => &FORMS_OUTSIDE,
        () if names_version(file) => &FORMS_OF_UNUSED,
        () => &FORMS,
    };
    let is_one_of =
        |statement: &[String], forms: &[&str]| forms.iter().any(|form| has_form(statement, form));
    let text = change.join(" ");
    if !is_one_of(change, forms) {
        return Some(format!("{text:?} has none of the forms {forms:#?}"));
    }
    let is_refused = |word: &&str| NOT_IN_A_TABLE.contains(&word.to_uppercase().as_str());
    if let Some(word) =
        text.split(' ').find(is_refused).filter(|_| text.starts_with("CREATE TABLE "))
    {
        return Some(format!("a new table has no {word}"));
    }
    // Citus sends a constraint to its servers as the text of the whole file.
    let is_alone = file.starts_with(OUTSIDE) || text.contains(" ADD CONSTRAINT ");
    if is_alone && !comments.is_empty() {
        return Some("an index or a constraint is alone in its file".to_owned());
    }
    let other = comments.iter().find(|statement| !is_one_of(statement, &FORMS_OF_COMMENTS))?;
    Some(format!("{:?}: a file has one statement, and comments after it", other.join(" ")))
}

#[test]
fn a_later_migration_runs_while_this_version_and_the_one_before_serve() {
    let files = fs::read_dir("migrations").expect("there");
    let mut files: Vec<_> = files.map(|entry| entry.expect("read").path()).collect();
    files.sort();
    assert!(files.len() > FIRST_MIGRATIONS);
    for file in &files[FIRST_MIGRATIONS..] {
        let problem = problem(&fs::read_to_string(file).expect("UTF-8"));
        assert_eq!(problem, None, "{}", file.display());
    }
}

#[test]
fn a_migration_that_breaks_a_rule_is_found() {
    for right in [
        "CREATE TABLE a (b bigint NOT NULL, PRIMARY KEY (b));\nCOMMENT ON TABLE a IS 'Of b; (c.';\n",
        "CREATE TABLE a (b text DEFAULT ';') WITH (fillfactor = 50);\n",
        "-- Text; text.\nALTER TABLE a ADD COLUMN b text;\nCOMMENT ON COLUMN a.b IS 'B.';\n",
        "ALTER TABLE a ADD COLUMN b boolean NOT NULL DEFAULT false;\n",
        "ALTER TABLE a ADD COLUMN b bigint DEFAULT -1",
        "ALTER TABLE a ADD COLUMN b text DEFAULT 'none'; -- text\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0 AND (d IS NOT NULL)) NOT VALID;\n",
        "ALTER TABLE a ADD CONSTRAINT c UNIQUE USING INDEX i;\n",
        "ALTER TABLE a VALIDATE CONSTRAINT c;\nCOMMENT ON CONSTRAINT c ON a IS 'C.';\n",
        "INSERT INTO a (b) VALUES (gen_random_uuid());\n",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b);\n",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b) WHERE b > 0;\n",
        "-- no-transaction\n-- Of b.\nDROP INDEX CONCURRENTLY IF EXISTS i;\n",
        "-- unused since 0.3.0\nALTER TABLE a DROP COLUMN b;\n",
        "-- unused since 0.3.0\nALTER TABLE a DROP CONSTRAINT c;\n",
        "-- unused since 0.3.0\nDROP TABLE a;\n",
    ] {
        assert_eq!(problem(right), None, "{right}");
    }
    for wrong in [
        "",
        "-- only a comment\n",
        "ALTER TABLE a ADD COLUMN b text;\nALTER TABLE a ADD COLUMN c text;\n",
        "ALTER TABLE a ADD COLUMN b text; ALTER TABLE a ADD COLUMN c text;\n",
        "ALTER TABLE a ADD COLUMN b text; DROP TABLE c;\n",
        "COMMENT ON TABLE a IS 'A.';\nALTER TABLE a ADD COLUMN b text;\n",
        "COMMENT ON TABLE a IS 'A.'; COMMENT ON TABLE a IS 'B.';\n",
        "ALTER TABLE a ADD COLUMN b text;\nCOMMENT ON TABLE a IS 'A.' || random();\n",
        "ALTER TABLE a RENAME COLUMN b TO c;\n",
        "ALTER TABLE a RENAME TO c;\n",
        "ALTER TABLE a ALTER COLUMN b TYPE bigint;\n",
        "ALTER TABLE a ALTER COLUMN b SET DATA TYPE bigint;\n",
        "ALTER TABLE a ALTER b TYPE bigint;\n",
        "ALTER TABLE a ALTER COLUMN b SET NOT NULL;\n",
        "ALTER TABLE a ALTER COLUMN b DROP DEFAULT;\n",
        "ALTER TABLE a ADD COLUMN b text NOT NULL;\n",
        "ALTER TABLE a ADD b text NOT NULL;\n",
        "ALTER TABLE a ADD b text;\n",
        "ALTER TABLE a ADD COLUMN b uuid DEFAULT gen_random_uuid();\n",
        "ALTER TABLE a ADD COLUMN b timestamptz DEFAULT now();\n",
        "ALTER TABLE a ADD COLUMN b timestamptz DEFAULT CURRENT_TIMESTAMP;\n",
        "ALTER TABLE a ADD COLUMN b text DEFAULT 'a' || random();\n",
        "ALTER TABLE a ADD COLUMN b text DEFAULT 'a', ADD COLUMN c uuid DEFAULT gen_random_uuid();\n",
        "ALTER TABLE a ADD COLUMN b text, ADD COLUMN c text NOT NULL;\n",
        "ALTER TABLE a ADD COLUMN b bigserial;\n",
        "ALTER TABLE a ADD COLUMN b bigint UNIQUE;\n",
        "ALTER TABLE a ADD COLUMN b bigint CHECK (b > 0);\n",
        "ALTER TABLE a ADD COLUMN b bigint REFERENCES c (d);\n",
        "ALTER TABLE a ADD COLUMN b bigint GENERATED ALWAYS AS (c * 2) STORED;\n",
        "ALTER TABLE a ADD CHECK (b > 0);\n",
        "ALTER TABLE a ADD CHECK (b > 0) NOT VALID;\n",
        "ALTER TABLE a ADD UNIQUE (b);\n",
        "ALTER TABLE a ADD PRIMARY KEY (b);\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0);\n",
        "ALTER TABLE a ADD CONSTRAINT c UNIQUE (b);\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID, DROP COLUMN d;\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;\nCOMMENT ON TABLE a IS 'A.';\n",
        "ALTER TABLE a DROP CONSTRAINT c;\n",
        "ALTER TABLE a DROP COLUMN b;\n",
        "ALTER TABLE a DROP b;\n",
        "ALTER TABLE a SET LOGGED;\n",
        "CREATE TABLE a AS SELECT 1;\n",
        "CREATE TABLE a (b bigint) INHERITS (c);\n",
        "CREATE TABLE a (b bigint REFERENCES c (d));\n",
        "CREATE TABLE a (b bigserial);\nCOMMENT ON TABLE a IS 'A.'); DROP TABLE c;\n",
        "CREATE TABLE a (b BIGSERIAL);\n",
        "CREATE TABLE a (b bigserial);\n",
        "CREATE TABLE a (b bigint;\n",
        "CREATE INDEX i ON a (b);\n",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b);\n",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);\n",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b); TRUNCATE a;\n",
        "-- no-transaction\nALTER TABLE a ADD COLUMN b text;\n",
        "DROP INDEX i;\n",
        "DROP INDEX CONCURRENTLY IF EXISTS i;\n",
        "REINDEX TABLE a;\n",
        "DROP TABLE a;\n",
        "-- unused since then\nDROP TABLE a;\n",
        "-- unused since 0.3.0\nDROP TABLE a CASCADE;\n",
        "-- unused since 0.3.0\nDROP TABLE a, b;\n",
        "-- unused since 0.3.0\nALTER TABLE a DROP COLUMN b, DROP COLUMN c;\n",
        "-- unused since 0.3.0\nTRUNCATE a;\n",
        "TRUNCATE a;\n",
        "UPDATE a SET b = 1;\n",
        "DELETE FROM a;\n",
        "INSERT INTO a (b) SELECT b FROM c;\n",
        "WITH d AS (DELETE FROM a RETURNING b) INSERT INTO c (b) SELECT b FROM d;\n",
        "LOCK TABLE a;\n",
        "CLUSTER a;\n",
        "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$;\n",
        "/* a */ ALTER TABLE a DROP COLUMN b;\n",
    ] {
        assert!(problem(wrong).is_some(), "{wrong}");
    }
}
