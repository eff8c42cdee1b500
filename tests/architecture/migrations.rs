//! Checks that a migration can run while the service serves, and while programs of the version before
//! it serve. The rules are in `docs/database.md`, "Changing the schema".

use std::fs;

/// The number of migrations that create the schema in an empty database. Later migrations run in a
/// database with rows and callers.
const FIRST_MIGRATIONS: usize = 5;

/// The mark of a file that drops what no supported version uses. A version follows it.
const UNUSED_SINCE: &str = "-- unused since ";

/// Words that no statement may have, and the reason.
const FORBIDDEN: [(&str, &str); 9] = [
    (" RENAME ", "the version before reads the old name: add another column or table"),
    (" TYPE ", "a type change rewrites the table: add a column of the new type"),
    (
        " SET NOT NULL",
        "it reads the whole table under a lock: add a CHECK (… IS NOT NULL) NOT VALID",
    ),
    (" GENERATED ", "a generated column rewrites the table"),
    (" SERIAL", "the service makes every id"),
    ("UPDATE ", "a worker changes rows, in batches"),
    ("DELETE ", "a worker deletes rows, in batches"),
    ("LOCK TABLE", "callers wait for the whole transaction"),
    ("CASCADE", "it drops what the file does not name"),
];

/// Returns what is wrong with the text of a migration.
fn problems(text: &str) -> Vec<&'static str> {
    let code: String =
        text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let statements = code.split(";\n").map(|one| one.trim().trim_end_matches(';'));
    let statements = statements.filter(|statement| !statement.is_empty());
    let (comments, changes): (Vec<&str>, Vec<&str>) =
        statements.partition(|statement| statement.starts_with("COMMENT ON "));
    let [change] = changes[..] else {
        return vec!["a file has one statement, apart from comments"];
    };
    let words = change.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let has = |part: &str| words.contains(part);
    let mut problems: Vec<_> =
        FORBIDDEN.iter().filter(|(word, _)| has(word)).map(|(_, reason)| *reason).collect();
    let mut forbid = |is_wrong: bool, problem| problems.extend(is_wrong.then_some(problem));

    let builds_index = has("CREATE INDEX ") || has("CREATE UNIQUE INDEX ");
    let is_concurrent =
        has(" INDEX CONCURRENTLY IF NOT EXISTS ") || has(" INDEX CONCURRENTLY IF EXISTS ");
    let touches_index = builds_index || has("DROP INDEX ");
    forbid(
        touches_index && !is_concurrent,
        "an index is built and dropped CONCURRENTLY IF [NOT] EXISTS",
    );
    let is_alone = text.starts_with("-- no-transaction\n") && comments.is_empty();
    forbid(
        touches_index && !is_alone,
        "an index is alone in a file that begins with -- no-transaction",
    );
    let outside = text.starts_with("-- no-transaction\n");
    forbid(outside && !touches_index, "only an index is built outside a transaction");

    let adds_constraint = has(" ADD CONSTRAINT ");
    let is_valid_later = has(" NOT VALID") || has(" USING INDEX ");
    forbid(
        adds_constraint && !is_valid_later,
        "a constraint is added NOT VALID, or USING INDEX, and validated in the next file",
    );
    // Citus sends a constraint to its servers as the text of the whole file.
    forbid(
        adds_constraint && !comments.is_empty(),
        "a file that adds a constraint has no comment statement",
    );
    let adds_column = has(" ADD COLUMN ");
    let default = words.split_once(" DEFAULT ").map(|(_, default)| default);
    forbid(
        adds_column && has(" NOT NULL") && default.is_none(),
        "the version before inserts rows without a new column: it is nullable or has a default",
    );
    forbid(
        adds_column && default.is_some_and(|default| default.contains('(')),
        "the default of a new column is a constant: a function may rewrite the table",
    );
    let drops = has("DROP TABLE ") || has(" DROP COLUMN ");
    forbid(
        drops && !text.starts_with(UNUSED_SINCE),
        "a file that drops something begins with -- unused since, and a version",
    );
    problems
}

#[test]
fn a_later_migration_runs_while_this_version_and_the_one_before_serve() {
    let files = fs::read_dir("migrations").expect("there");
    let mut files: Vec<_> = files.map(|entry| entry.expect("read").path()).collect();
    files.sort();
    assert!(files.len() >= FIRST_MIGRATIONS);
    for file in &files[FIRST_MIGRATIONS..] {
        let problems = problems(&fs::read_to_string(file).expect("UTF-8"));
        assert!(problems.is_empty(), "{}: {problems:#?}", file.display());
    }
}

#[test]
fn a_migration_that_breaks_a_rule_is_found() {
    for right in [
        "CREATE TABLE a (b bigint NOT NULL);\nCOMMENT ON TABLE a IS 'Of b.';\n",
        "-- Text.\nALTER TABLE a ADD COLUMN b text;\nCOMMENT ON COLUMN a.b IS 'B.';\n",
        "ALTER TABLE a ADD COLUMN b boolean NOT NULL DEFAULT false;\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;\n",
        "ALTER TABLE a VALIDATE CONSTRAINT c;\n",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b);\n",
        "-- no-transaction\n-- Of b.\nDROP INDEX CONCURRENTLY IF EXISTS i;\n",
        "-- unused since 0.3.0\nALTER TABLE a DROP COLUMN b;\n",
    ] {
        assert_eq!(problems(right), [""; 0], "{right}");
    }
    for wrong in [
        "ALTER TABLE a ADD COLUMN b text;\nALTER TABLE a ADD COLUMN c text;\n",
        "ALTER TABLE a RENAME COLUMN b TO c;\n",
        "ALTER TABLE a ALTER COLUMN b TYPE bigint;\n",
        "ALTER TABLE a ALTER COLUMN b SET DATA TYPE bigint;\n",
        "ALTER TABLE a ALTER COLUMN b SET NOT NULL;\n",
        "ALTER TABLE a ADD COLUMN b text NOT NULL;\n",
        "ALTER TABLE a ADD COLUMN b uuid DEFAULT gen_random_uuid();\n",
        "ALTER TABLE a ADD COLUMN b bigint GENERATED ALWAYS AS (c * 2) STORED;\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0);\n",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;\nCOMMENT ON TABLE a IS 'A.';\n",
        "CREATE INDEX i ON a (b);\n",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b);\n",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);\n",
        "-- no-transaction\nALTER TABLE a ADD COLUMN b text;\n",
        "DROP INDEX i;\n",
        "ALTER TABLE a DROP COLUMN b;\n",
        "DROP TABLE a;\n",
        "-- unused since 0.3.0\nDROP TABLE a CASCADE;\n",
        "UPDATE a SET b = 1;\n",
        "",
    ] {
        assert_ne!(problems(wrong), [""; 0], "{wrong}");
    }
}
