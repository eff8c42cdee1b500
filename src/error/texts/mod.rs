//! What each error means, what the caller does about it, and which actions answer it, in English
//! and Chinese. Code, statuses and message of a row come from the table in `src/error/table.rs`: each
//! entry here makes an error of its row. `docs/errors.md` shows the English texts, and a test below
//! holds it equal to them.

mod actions;
mod by;
mod faults;
mod gateway;
mod language;
mod opening;
mod operators;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::Code;

pub use self::by::By;
pub use self::language::Language;
use super::{Error, status};

/// Stands for the name of a parameter in a code, a message or a text.
const PARAMETER: &str = "{parameter}";
/// Largest length of a parameter's name in a code that is looked up, in bytes.
const LONGEST_PARAMETER: usize = 64;
/// What is escaped in the code of an address.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text in both languages. What stands between backticks is code.
#[derive(Debug)]
struct Text {
    en: &'static str,
    zh: &'static str,
}

/// The texts of a row of the error table.
#[derive(Debug)]
struct Entry {
    /// Makes an error of the row. A parameter of the request is [`PARAMETER`].
    error: fn() -> Error,
    answered_by: &'static [By],
    meaning: Text,
    what_to_do: Text,
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    let sections =
        [opening::ENTRIES, actions::ENTRIES, gateway::ENTRIES, operators::ENTRIES, faults::ENTRIES];
    sections.into_iter().flatten()
}

/// A row of the error table with its texts.
#[derive(Clone, Debug)]
pub struct Row {
    /// The code, for example `CdnService.HasOpened` or `Missing{parameter}`.
    pub code: Cow<'static, str>,
    /// The HTTP status.
    pub http_status: u16,
    /// The name of the gRPC code, for example `NOT_FOUND`.
    pub grpc_code: String,
    /// The message. Names in braces stand for texts of the request.
    pub message: Cow<'static, str>,
    grpc: Code,
    entry: &'static Entry,
    /// The parameter in the code that was looked up.
    parameter: Option<String>,
}

impl Row {
    fn of(entry: &'static Entry) -> Self {
        let row = (entry.error)().row();
        Self {
            code: row.code,
            http_status: row.http,
            grpc_code: status::name(row.grpc),
            message: row.message,
            grpc: row.grpc,
            entry,
            parameter: None,
        }
    }

    /// Returns what the error means. What stands between backticks is code.
    #[must_use]
    pub fn meaning(&self, language: Language) -> Cow<'static, str> {
        self.text(&self.entry.meaning, language)
    }

    /// Returns what the caller does about the error. What stands between backticks is code.
    #[must_use]
    pub fn what_to_do(&self, language: Language) -> Cow<'static, str> {
        self.text(&self.entry.what_to_do, language)
    }

    /// Returns what answers with this error.
    #[must_use]
    pub fn answered_by(&self) -> &'static [By] {
        self.entry.answered_by
    }

    fn text(&self, text: &Text, language: Language) -> Cow<'static, str> {
        let text = match language {
            Language::English => text.en,
            Language::Chinese => text.zh,
        };
        match &self.parameter {
            Some(parameter) => text.replace(PARAMETER, parameter).into(),
            None => text.into(),
        }
    }

    /// Returns this row for a code that has a parameter in the place of [`PARAMETER`].
    fn for_code(mut self, code: &str) -> Option<Self> {
        let (before, after) = self.code.split_once(PARAMETER)?;
        let parameter = code.strip_prefix(before)?.strip_suffix(after)?;
        let is_name = (1..=LONGEST_PARAMETER).contains(&parameter.len())
            && parameter.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let parameter = is_name.then(|| parameter.to_owned())?;
        self.message = self.message.replace(PARAMETER, &parameter).into();
        self.code = code.to_owned().into();
        self.parameter = Some(parameter);
        Some(self)
    }
}

/// Returns the error table with its texts, in the order of `docs/errors.md`. Several rows can have
/// the same code.
pub fn rows() -> impl Iterator<Item = Row> {
    entries().map(Row::of)
}

/// Returns the rows of a code. The code may contain the name of a parameter, as `MissingBillType`
/// does, or be a pattern of the table. There are none for an unknown code.
#[must_use]
pub fn rows_of(code: &str) -> Vec<Row> {
    let exact: Vec<_> = rows().filter(|row| row.code == code).collect();
    if exact.is_empty() { rows().filter_map(|row| row.for_code(code)).collect() } else { exact }
}

/// Returns the codes with which an action of this name answers, beside those that all actions have.
pub fn codes_of(action: &str) -> impl Iterator<Item = Cow<'static, str>> {
    let answers = |row: &Row| row.answered_by().iter().any(|by| by.is_action(action));
    rows().filter(answers).map(|row| row.code)
}

/// Returns what an error means as plain text. Its gRPC code and message distinguish between rows
/// with the same code.
#[must_use]
pub fn localized(code: &str, grpc: Code, message: &str, language: Language) -> Option<String> {
    let rows = rows_of(code).into_iter();
    let row = rows.max_by_key(|row| (row.grpc == grpc, row.message == message))?;
    Some(row.meaning(language).replace('`', ""))
}

/// Returns the address of the page about a code. `explorer_url` ends with a slash.
#[must_use]
pub fn address(explorer_url: &str, code: &str) -> String {
    format!("{explorer_url}errors/{}", utf8_percent_encode(code, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the cells of the tables in `docs/errors.md`, without the backticks around a cell.
    fn page() -> Vec<Vec<&'static str>> {
        let page = include_str!("../../../docs/errors.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").collect::<Vec<_>>());
        cells.filter(|cells| cells.len() == 5).collect()
    }

    #[test]
    fn the_page_of_errors_has_each_row_with_its_english_text() {
        let cell = |text: &str| format!("`{text}`");
        let rows = rows().map(|row| {
            let what_to_do = row.what_to_do(Language::English).into_owned();
            let statuses = [row.http_status.to_string(), row.grpc_code];
            let [http, grpc] = statuses;
            vec![cell(&row.code), http, grpc, cell(&row.message), what_to_do]
        });
        let (rows, page): (Vec<_>, _) = (rows.collect(), page());
        for (row, shown) in rows.iter().zip(&page) {
            assert_eq!(row, shown, "docs/errors.md");
        }
        assert_eq!(rows.len(), page.len());
    }

    #[test]
    fn every_text_is_a_sentence_in_its_language() {
        for row in rows() {
            for text in [row.meaning(Language::English), row.what_to_do(Language::English)] {
                assert!(text.is_ascii() && text.ends_with('.'), "{}: {text}", row.code);
            }
            for text in [row.meaning(Language::Chinese), row.what_to_do(Language::Chinese)] {
                assert!(!text.is_ascii() && text.ends_with('。'), "{}: {text}", row.code);
                assert!(!text.contains([',', ';']), "{text}");
            }
            assert!(!row.answered_by().is_empty(), "{}", row.code);
        }
    }

    #[test]
    fn a_code_is_found_by_its_exact_text_or_by_its_pattern() {
        let found = |code: &str| {
            rows_of(code).into_iter().map(|row| (row.code, row.message)).collect::<Vec<_>>()
        };
        let named = ("MissingBillType".into(), "BillType is mandatory for this action.".into());
        assert_eq!(found("MissingBillType"), [named]);
        let pattern =
            ("Missing{parameter}".into(), "{parameter} is mandatory for this action.".into());
        assert_eq!(found("Missing{parameter}"), [pattern]);
        assert_eq!(
            found("MissingAccountId")[0].1.split_once(':').unwrap().0,
            "The request names no account"
        );
        assert_eq!(found("SignatureDoesNotMatch").len(), 2);
        assert_eq!(found("ServiceUnavailable").len(), 3);
        let long = format!("Missing{}", "a".repeat(65));
        for unknown in ["", "Missing", "Missing a", "Missing<b>", "InvalidX", "hasOpened", &long] {
            assert_eq!(found(unknown), [], "{unknown}");
        }
    }

    #[test]
    fn an_action_has_its_own_codes() {
        let of_open: Vec<_> = codes_of("OpenDcdnService").collect();
        assert!(of_open.contains(&"DcdnService.HasOpened".into()), "{of_open:?}");
        assert!(!of_open.contains(&"CdnService.HasOpened".into()), "{of_open:?}");
        assert_eq!(codes_of("DescribeUserCdnStatus").count(), 0);
    }

    #[test]
    fn a_localized_message_is_that_of_the_row() {
        let said = |grpc, language| localized("ServiceUnavailable", grpc, "", language).unwrap();
        assert_ne!(
            said(Code::Aborted, Language::English),
            said(Code::Unavailable, Language::English)
        );
        let missing = localized("MissingBillType", Code::InvalidArgument, "", Language::Chinese);
        assert_eq!(missing.unwrap(), "缺少必填参数 BillType，或其值为空。");
        assert_eq!(localized("None", Code::Internal, "", Language::English), None);
    }

    #[test]
    fn the_code_is_escaped_in_an_address() {
        let of = |code| address("https://cdn.example/explorer/", code);
        assert_eq!(of("A.b_C"), "https://cdn.example/explorer/errors/A.b_C");
        assert_eq!(of("a/ü?{"), "https://cdn.example/explorer/errors/a%2F%C3%BC%3F%7B");
    }
}
