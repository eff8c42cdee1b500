//! Checks of the architecture: they read the sources and fail if a file contains what it must not
//! contain.

#[path = "architecture/log_fields.rs"]
mod log_fields;
#[path = "architecture/migrations.rs"]
mod migrations;
#[path = "architecture/pages.rs"]
mod pages;
#[path = "architecture/service_config.rs"]
mod service_config;
#[path = "architecture/sql_texts.rs"]
mod sql_texts;
#[path = "architecture/statements.rs"]
mod statements;

use std::fs;
use std::path::{Path, PathBuf};

/// Largest number of lines of a source file, without the tests at its end.
const LONGEST_FILE: usize = 300;

/// A source file.
#[derive(Clone)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Returns the numbered lines of code, without comments and without tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn lines_without_tests(&self) -> usize {
        self.lines().count()
    }

    /// Returns the numbered lines, without the items that only tests have: from `#[cfg(test)]` to
    /// the end of the item, which is a line that ends with `;`, or `}` at the left margin.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut in_test = false;
        self.text.lines().enumerate().filter(move |(_, line)| {
            let was_in_test = in_test;
            let begins = *line == "#[cfg(test)]";
            let ends = *line == "}" || (!line.starts_with(' ') && line.ends_with(';'));
            in_test = begins || (in_test && !ends);
            !was_in_test && !begins
        })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the crate") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{directory} has sources");
    found
}

/// Fails if a file of `directory` contains one of `words`, except in the paths `allowed`. The
/// message shows every such line.
fn forbid(directory: &str, words: &[&str], allowed: &[&str], why: &str) {
    let mut wrong = Vec::new();
    for source in sources(directory) {
        if allowed.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for (number, line) in source.code() {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {}", source.name(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{why}:\n{}", wrong.join("\n"));
}

#[test]
fn the_domain_does_not_wait_read_or_know_the_time() {
    let words = [
        "tonic",
        "sqlx",
        "tokio",
        "axum",
        "hyper",
        "std::time",
        "now()",
        "async ",
        "crate::storage",
        "crate::grpc",
        "crate::rest",
        "crate::auth",
        "crate::context",
        "crate::proto",
    ];
    forbid("src/domain", &words, &[], "the domain is pure");
}

#[test]
fn only_the_storage_contains_sql() {
    let allowed = ["src/storage"];
    forbid("src", &["sqlx"], &allowed, "all SQL is in src/storage");
    let words =
        ["crate::grpc", "crate::rest", "crate::auth", "crate::server", "SELECT *", "RETURNING *"];
    forbid("src/storage", &words, &[], "the storage depends on rows and not on callers");
    // Leases use the clock of the database. How long a statement takes, or a connection is idle, is
    // not a business time.
    let allowed = ["src/storage/leases.rs", "src/storage/engine", "src/storage/mod.rs"];
    forbid("src/storage", &["now()"], &allowed, "every time is bound");
}

/// Returns the modules that code uses by `crate::` paths.
fn used_modules(code: &str) -> Vec<&str> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let after = code.split("crate::").skip(1);
    after.map(|path| path.split(|c| !is_of_name(c)).next().unwrap_or_default()).collect()
}

#[test]
fn every_path_follows_the_map_of_the_modules() {
    let map = fs::read_to_string("src/lib.rs").expect("the map");
    let map = map.split("//! ```text\n//! commands").nth(1).expect("the map has a list");
    let list =
        format!("//! commands{}", map.split("//! ```").next().expect("the list of the map ends"));
    let modules: Vec<_> =
        list.lines().filter_map(|line| line.strip_prefix("//! ")?.split(' ').next()).collect();
    let place = |module: &str| modules.iter().position(|listed| *listed == module);
    let mut wrong = Vec::new();
    for source in sources("src") {
        let path = source.path.strip_prefix("src").expect("below src");
        let first = path.components().next().expect("a file").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let own = place(module).unwrap_or_else(|| panic!("the map has no {module}"));
        for used in used_modules(&source.text) {
            if place(used).is_some_and(|used| used < own) {
                wrong.push(format!("{}: {used}", source.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "these use a module above their own:\n{}", wrong.join("\n"));
    assert_eq!(used_modules("use crate::a::B; crate::c_d::e()"), ["a", "c_d"]);
}

#[test]
fn the_shim_does_not_depend_on_business_code() {
    let words = [
        "crate::storage",
        "crate::domain::opening",
        "crate::domain::modifying",
        "Cdn",
        "proto::cdn",
        "proto::dcdn",
    ];
    forbid("src/rest", &words, &[], "the shim depends on descriptors only");
}

#[test]
fn the_feed_does_not_depend_on_a_wire() {
    let words = ["tonic", "crate::grpc", "crate::rest", "crate::server"];
    forbid("src/events", &words, &[], "the feed depends on the log and its followers only");
}

#[test]
fn only_dev_contains_demo_accounts() {
    forbid(
        "src",
        &["testid", "1_000_000_000_000_0"],
        &["src/commands/dev/demo.rs"],
        "demo accounts belong to dev",
    );
}

#[test]
fn only_the_server_depends_on_cores() {
    let allowed = ["src/runtime/mod.rs", "src/server", "src/lib.rs"];
    // The process itself: its first thread, and the one that receives signals.
    let process = ["src/main.rs", "src/commands/stopping.rs"];
    forbid(
        "src",
        &["crate::runtime", "new_current_thread"],
        &[&allowed[..], &process].concat(),
        "everything else is written for one runtime",
    );
}

#[test]
fn statuses_are_in_the_error_table_only() {
    let allowed = [
        "src/error/table.rs",
        "src/client",                // reads the statuses of the service
        "src/explorer/responses.rs", // pages are not calls
        "src/server/health.rs",      // reads the statuses of tonic
        "src/server/no_grpc.rs",     // such a request is not a call and has no error code
        "src/server/ops.rs",
        "src/rest",
        "src/grpc/bodies.rs",
        "src/grpc/layers.rs",
        "src/grpc/streams.rs",
        "src/grpc/traced.rs", // names the statuses of calls in spans
        "src/traces/rpc.rs",
        "src/metrics/codes.rs",
        "src/metrics/methods.rs",
        "src/orders/commerce.rs", // reads the statuses of another system
    ];
    forbid(
        "src",
        &["StatusCode", " Code::", "(Code::"],
        &allowed,
        "every status is in the error table",
    );
}

#[test]
fn only_the_log_writes_to_the_outputs() {
    let macros = ["print!(", "println!("];
    forbid("src", &macros, &[], "these macros panic if the output is full or closed");
    // `logging::say` before logging has started, and `print` of commands that do not serve.
    let allowed = ["src/logging/mod.rs", "src/logging/queue.rs", "src/commands/mod.rs"];
    let words = ["io::stdout", "io::stderr"];
    forbid("src", &words, &allowed, "use logging::say, which does not wait for the output");
}

#[test]
fn no_lint_is_allowed_and_no_code_is_unfinished() {
    let words =
        ["#[allow", "#![allow", concat!("to", "do!("), concat!("un", "implemented!("), "dbg!("];
    for directory in ["src", "crates", "bench/src"] {
        forbid(directory, &words, &[], "a lint is suppressed by #[expect] with a reason");
    }
}

#[test]
fn no_source_file_is_too_long() {
    let all = [sources("src"), sources("crates"), sources("bench/src")].concat();
    let long = all.into_iter().filter(|source| source.lines_without_tests() > LONGEST_FILE);
    let long: Vec<_> = long.map(|source| source.name()).collect();
    assert!(long.is_empty(), "these have more than {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn every_source_file_begins_with_a_doc_comment() {
    let all = [sources("src"), sources("crates"), sources("bench/src")].concat();
    let silent = all.into_iter().filter(|source| !source.text.starts_with("//!"));
    let silent: Vec<_> = silent.map(|source| source.name()).collect();
    assert!(silent.is_empty(), "these have no doc comment at the start: {silent:?}");
    assert!(Path::new("README.md").exists());
}

/// Returns the cells of the table rows of a page that begin with code and have `count` cells,
/// without the backticks around a cell.
fn table_rows(page: &str, count: usize) -> Vec<Vec<String>> {
    let page = fs::read_to_string(page).expect("a page of docs/");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.map(|row| format!("`{row}"));
    let cells = rows.map(|row| row.split(" | ").map(without_backticks).collect::<Vec<_>>());
    cells.filter(|cells| cells.len() == count).collect()
}

fn without_backticks(cell: &str) -> String {
    let code = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
    code.filter(|code| !code.contains('`')).unwrap_or(cell).to_owned()
}

/// Returns the code, HTTP status, gRPC code and message of each row of the table in `src/error/table.rs`.
fn error_table() -> Vec<Vec<String>> {
    let source = fs::read_to_string("src/error/table.rs").expect("UTF-8");
    let rows = source.lines().filter_map(|line| line.split_once("=> row(")).map(|(_, row)| {
        let (_, from_code) = row.split_once('"').expect("a code");
        let (code, after_code) = from_code.split_once('"').expect("the end of the code");
        let mut cells = after_code.splitn(4, ',').skip(1).map(str::trim);
        let mut cell = || cells.next().expect("HTTP status, gRPC code, message");
        let (http, grpc, message) = (cell(), cell(), cell());
        let message = message.split_once('"').and_then(|(_, message)| message.rsplit_once('"'));
        let message = message.map_or("{field}: {description}", |(message, _)| message);
        let message = message.replace("\\\"", "\"");
        vec![code.to_owned(), http.to_owned(), upper_snake(grpc), message]
    });
    rows.collect()
}

/// Returns `NOT_FOUND` for `NotFound`.
fn upper_snake(name: &str) -> String {
    let mut upper = String::new();
    for (index, letter) in name.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            upper.push('_');
        }
        upper.push(letter.to_ascii_uppercase());
    }
    upper
}

#[test]
fn the_page_of_errors_equals_the_error_table() {
    let table = error_table();
    assert!(table.len() > 40, "{} errors", table.len());
    let page: Vec<_> = table_rows("docs/errors.md", 5);
    assert!(
        page.iter().all(|row| !row[4].trim().is_empty()),
        "each row says what the caller can do"
    );
    let page: Vec<_> = page.into_iter().map(|row| row[..4].to_vec()).collect();
    let missing: Vec<_> = table.iter().filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/errors.md lacks {missing:#?}");
    let obsolete: Vec<_> = page.iter().filter(|row| !table.contains(row)).collect();
    assert!(
        obsolete.is_empty(),
        "docs/errors.md has rows that src/error/table.rs lacks: {obsolete:#?}"
    );
}

#[test]
fn every_limit_names_tests_that_exist() {
    let page = fs::read_to_string("docs/limits.md").expect("the limits");
    let tests = [sources("tests"), sources("src")].concat();
    let mut count = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| limit")) {
        let cell = row.trim_end_matches(['|', ' ']).rsplit(" | ").next().expect("a cell");
        let names: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "this limit names no test: {row}");
        for name in names.into_iter().filter(|name| *name != "make attack") {
            let declared = format!("fn {name}()");
            assert!(
                tests.iter().any(|source| source.text.contains(&declared)),
                "there is no test {name}"
            );
        }
        count += 1;
    }
    assert!(count > 30, "{count} limits");
}

#[test]
fn a_limit_that_is_a_setting_has_its_default() {
    let page = fs::read_to_string("docs/limits.md").expect("the limits").replace([',', ' '], "");
    let mut count = 0;
    for setting in table_rows("docs/settings.md", 4) {
        let (name, default) = (&setting[1], &setting[2]);
        for shown in page.split(&format!("`{name}`")).skip(1) {
            if shown.starts_with(|first: char| first.is_ascii_digit()) {
                assert!(shown.starts_with(default.as_str()), "{name} is {default} by default");
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} limits are settings");
}

#[test]
fn every_file_names_the_same_compiler() {
    let read = |path: &str| fs::read_to_string(path).expect("UTF-8");
    let toolchain = read("rust-toolchain.toml");
    let (_, channel) = toolchain.split_once("channel = \"").expect("a channel");
    let (version, _) = channel.split_once('"').expect("the end of the channel");
    let (minor, _) = version.rsplit_once('.').expect("an exact version");
    let named = [
        ("Cargo.toml", format!("rust-version = \"{minor}\"")),
        ("deploy/Dockerfile", format!("FROM rust:{version}-")),
        ("deploy/pgo/made-by", format!("rustc {version} ")),
        ("README.md", format!("Rust {minor}")),
    ];
    for (path, name) in named {
        assert!(
            read(path).contains(&name),
            "{path} has no {name:?}, the compiler of rust-toolchain.toml"
        );
    }
}

#[test]
fn the_code_after_tests_is_checked_too() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {\n    c();\n}\n#[cfg(test)]\nmod more {\n    \
                fn d() {}\n}\nfn e() {}\n";
    let source = Source { path: PathBuf::new(), text: text.to_owned() };
    let lines: Vec<_> = source.code().map(|(_, line)| line.trim()).collect();
    assert_eq!(lines, ["use a;", "fn b() {", "c();", "}", "fn e() {}"]);
}
