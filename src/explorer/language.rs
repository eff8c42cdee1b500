//! The language of a page, its labels, and the translated comments of the API.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::assets::file;
use crate::error::texts::Language;

/// The translations of the comments in `proto/`, by full name.
static CHINESE_COMMENTS: LazyLock<HashMap<String, String>> = LazyLock::new(|| texts("api.zh"));
static ENGLISH: LazyLock<HashMap<String, String>> = LazyLock::new(|| texts("en"));
static CHINESE: LazyLock<HashMap<String, String>> = LazyLock::new(|| texts("zh"));

fn texts(name: &str) -> HashMap<String, String> {
    let json = file(&format!("texts/{name}.json"));
    serde_json::from_str(json).expect("a test reads the texts that are part of the program")
}

/// Returns the language that a request asks for: by `lang` in the query, or else by
/// `accept-language`.
pub fn requested(query: Option<&str>, accept_language: Option<&str>) -> Language {
    let mut parameters = query.unwrap_or_default().split('&');
    let asked = parameters.find_map(|pair| Language::of_name(pair.strip_prefix("lang=")?));
    asked.unwrap_or_else(|| Language::preferred(accept_language.unwrap_or_default()))
}

/// Returns the translated comment of an element of the API; `None` if the comment of the
/// descriptors is in this language.
pub fn comment(language: Language, full_name: &str) -> Option<String> {
    match language {
        Language::English => None,
        Language::Chinese => CHINESE_COMMENTS.get(full_name).cloned(),
    }
}

/// Returns the labels of the page by their names.
pub fn labels(language: Language) -> &'static HashMap<String, String> {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_stronger_than_the_header() {
        let of = |query, header| requested(query, header).name();
        assert_eq!(of(None, None), "en");
        assert_eq!(of(None, Some("zh-CN,en;q=0.8")), "zh");
        assert_eq!(of(Some("action=A&lang=en"), Some("zh")), "en");
        assert_eq!(of(Some("lang=zh"), None), "zh");
        assert_eq!(of(Some("lang=xx"), Some("zh")), "zh");
    }

    #[test]
    fn both_languages_have_the_same_labels() {
        let mut names = [labels(Language::English), labels(Language::Chinese)]
            .map(|labels| labels.keys().collect::<Vec<_>>());
        for names in &mut names {
            names.sort();
        }
        assert_eq!(names[0], names[1]);
    }
}
