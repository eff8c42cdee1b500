//! The error center: a page that lists every error, and a page for each code. They are pure
//! functions of the error table.

use std::fmt::Write;

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::html::{escape, fill, inline};
use crate::error::texts::{By, ESCAPED, Language, Row, rows, rows_of};

const LIST: &str = include_str!("web/errors.html");
const LIST_ROW: &str = include_str!("web/errors-row.html");
const PAGE: &str = include_str!("web/error.html");
const PAGE_ROW: &str = include_str!("web/error-row.html");

/// The code to whose page the signature doctor belongs.
const SIGNATURE_DOES_NOT_MATCH: &str = "SignatureDoesNotMatch";

/// The labels of the pages in English and Chinese, by the names of their slots. None contains a
/// character that HTML escapes.
const LABELS: [(&str, [&str; 2]); 17] = [
    ("label-error-center", ["Error center", "错误中心"]),
    ("label-explorer", ["API explorer", "API 调试"]),
    ("label-languages", ["Language", "语言"]),
    (
        "label-introduction",
        [
            "Every error with which the service answers. Compare codes, not messages.",
            "本服务返回的所有错误。请按错误码而不是错误信息判断。",
        ],
    ),
    ("label-search", ["Search", "搜索"]),
    (
        "label-search-hint",
        ["A code, an action, or a word of a message", "错误码、操作名或错误信息中的词"],
    ),
    ("label-count", ["{shown} of {all} errors", "共 {all} 个错误，显示 {shown} 个"]),
    ("label-code", ["Code", "错误码"]),
    ("label-http", ["HTTP status", "HTTP 状态码"]),
    ("label-grpc", ["gRPC code", "gRPC 状态码"]),
    ("label-message", ["Message", "错误信息"]),
    ("label-answered-by", ["Answered by", "返回该错误的操作"]),
    ("label-meaning", ["Meaning", "含义"]),
    ("label-what-to-do", ["What to do", "处理建议"]),
    ("label-back", ["All errors", "全部错误"]),
    ("label-doctor", ["Find the cause with the signature doctor", "用签名诊断查找原因"]),
    ("label-several", ["This code has several causes.", "该错误码有多种原因。"]),
];

fn label(name: &str, language: Language) -> &'static str {
    let texts = LABELS.iter().find(|(label, _)| *label == name).map(|(_, texts)| texts);
    let [en, zh] = texts.expect("each label is in the list");
    match language {
        Language::English => en,
        Language::Chinese => zh,
    }
}

/// Fills a template with these values and with the labels of the language.
fn fill_labelled(template: &str, language: Language, values: &[(&str, &str)]) -> String {
    let labels = LABELS.map(|(name, _)| (name, label(name, language)));
    let names = [("lang", language.name()), ("locale", language.locale())];
    let slots: Vec<_> = values.iter().copied().chain(names).chain(labels).collect();
    fill(template, &slots)
}

/// Returns the page that lists every error.
#[must_use]
pub fn list(language: Language) -> String {
    let all: String = rows().map(|row| list_row(&row, language)).collect();
    let count = rows().count().to_string();
    let shown = label("label-count", language).replace("{shown}", &count).replace("{all}", &count);
    let values = [("rows", all.as_str()), ("shown", &shown), ("other", &other(language))];
    fill_labelled(LIST, language, &values)
}

/// Returns the page of a code, which may be percent-encoded. There is none for an unknown code.
#[must_use]
pub fn page(code: &str, language: Language) -> Option<String> {
    let code = percent_decode_str(code).decode_utf8().ok()?;
    let rows = rows_of(&code);
    let code = escape(&rows.first()?.code);
    let parts: String = rows.iter().map(|row| part(row, language)).collect();
    let mut notes = String::new();
    if rows.len() > 1 {
        let _ = write!(notes, "<p>{}</p>", label("label-several", language));
    }
    if code == SIGNATURE_DOES_NOT_MATCH {
        let (lang, text) = (language.name(), label("label-doctor", language));
        let _ = write!(notes, "<p><a href=\"../?lang={lang}#doctor\">{text}</a></p>");
    }
    let values =
        [("code", code.as_str()), ("notes", &notes), ("rows", &parts), ("other", &other(language))];
    Some(fill_labelled(PAGE, language, &values))
}

fn list_row(row: &Row, language: Language) -> String {
    let address = utf8_percent_encode(&row.code, ESCAPED).to_string();
    fill_row(LIST_ROW, row, language, &address)
}

fn part(row: &Row, language: Language) -> String {
    fill_row(PAGE_ROW, row, language, "")
}

fn fill_row(template: &str, row: &Row, language: Language, address: &str) -> String {
    let values = [
        ("code", escape(&row.code)),
        ("address", address.to_owned()),
        ("http", row.http_status.to_string()),
        ("grpc", row.grpc_code.clone()),
        ("message", escape(&row.message)),
        ("answered-by", answered_by(row, language)),
        ("meaning", inline(&row.meaning(language))),
        ("what-to-do", inline(&row.what_to_do(language))),
    ];
    fill_labelled(template, language, &values.each_ref().map(|(name, html)| (*name, html.as_str())))
}

fn answered_by(row: &Row, language: Language) -> String {
    let item = |by: &By| {
        let text = escape(by.text(language));
        if by.is_name() {
            format!("<li><code>{text}</code></li>")
        } else {
            format!("<li>{text}</li>")
        }
    };
    format!(
        "<ul class=\"answered-by\">{}</ul>",
        row.answered_by().iter().map(item).collect::<String>()
    )
}

/// Returns the link to the same page in the other language.
fn other(language: Language) -> String {
    let (other, name) = match language {
        Language::English => (Language::Chinese, "中文"),
        Language::Chinese => (Language::English, "English"),
    };
    let (lang, locale) = (other.name(), other.locale());
    format!("<a href=\"?lang={lang}\" hreflang=\"{locale}\" lang=\"{locale}\">{name}</a>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::methods;

    #[test]
    fn an_action_or_method_that_answers_with_an_error_exists() {
        let of_api: Vec<_> = methods()
            .map(|method| (method.parent_service().name().to_owned(), method.name().to_owned()))
            .collect();
        let is_action = |name: &str| {
            let of = |service: &str| ["CdnService", "DcdnService"].contains(&service);
            of_api.iter().any(|(service, method)| of(service) && method == name)
        };
        let is_method = |name: &str| {
            let of_health = ["Health.Check", "Health.Watch"].contains(&name);
            of_health
                || of_api.iter().any(|(service, method)| format!("{service}.{method}") == name)
        };
        for row in rows() {
            for by in row.answered_by() {
                let exists = match by {
                    By::Action(name) => is_action(name),
                    By::Method(name) => is_method(name),
                    _ => true,
                };
                assert!(exists, "{}: {by:?}", row.code);
            }
        }
    }

    #[test]
    fn a_code_of_the_caller_is_escaped_and_an_unknown_one_has_no_page() {
        for unknown in ["", "None", "Missing%3Cscript%3E", "Missing%ff", "../style.css"] {
            assert_eq!(page(unknown, Language::English), None, "{unknown}");
        }
        let pattern = page("Missing%7Bparameter%7D", Language::English).unwrap();
        assert!(pattern.contains("Missing{parameter}"));
        let named = page("MissingBillType", Language::Chinese).unwrap();
        assert!(
            named.contains("BillType is mandatory") && !named.contains("{parameter}"),
            "{named}"
        );
    }
}
