//! The two languages of the pages, and the translated comments of the API.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::assets::file;

/// The translations of the comments in `proto/`, by full name.
static CHINESE: LazyLock<HashMap<String, String>> = LazyLock::new(|| texts("api.zh"));
static LABELS: LazyLock<[HashMap<String, String>; 2]> =
    LazyLock::new(|| [texts("en"), texts("zh")]);

fn texts(name: &str) -> HashMap<String, String> {
    let json = file(&format!("texts/{name}.json"));
    serde_json::from_str(json).expect("a test reads the texts that are part of the program")
}

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Returns the language that a request asks for: by `lang` in the query, or else by the first
    /// language of `accept-language` that there is.
    #[must_use]
    pub fn of(query: Option<&str>, accept_language: Option<&str>) -> Self {
        let parameters = query.unwrap_or_default().split('&');
        let asked = parameters.into_iter().find_map(|pair| pair.strip_prefix("lang="));
        let accepted = accept_language.unwrap_or_default().split(',');
        asked.into_iter().chain(accepted).find_map(Self::from_tag).unwrap_or_default()
    }

    fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', ';']).next()?.to_ascii_lowercase();
        match primary.as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Returns the language tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// Returns the translated comment of an element of the API; `None` if the comment of the
    /// descriptors is in this language.
    #[must_use]
    pub fn comment(self, full_name: &str) -> Option<String> {
        match self {
            Self::English => None,
            Self::Chinese => CHINESE.get(full_name).cloned(),
        }
    }

    /// Returns a label of the page.
    ///
    /// # Panics
    ///
    /// Panics if there is no label of this name.
    #[must_use]
    pub fn label(self, name: &str) -> &'static str {
        let [english, chinese] = &*LABELS;
        let labels = if self == Self::English { english } else { chinese };
        labels.get(name).unwrap_or_else(|| panic!("there is no label {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_stronger_than_the_header() {
        let of = |query, header| Language::of(query, header).tag();
        assert_eq!(of(None, None), "en");
        assert_eq!(of(None, Some("fr, zh-CN;q=0.9, en;q=0.8")), "zh");
        assert_eq!(of(Some("action=A&lang=en"), Some("zh")), "en");
        assert_eq!(of(Some("lang=zh"), None), "zh");
        assert_eq!(of(Some("lang=xx"), Some("ZH-tw")), "zh");
    }

    #[test]
    fn both_languages_have_the_same_labels() {
        let [english, chinese] = &*LABELS;
        let mut names = [english, chinese].map(|labels| labels.keys().collect::<Vec<_>>());
        names.iter_mut().for_each(|names| names.sort());
        assert_eq!(names[0], names[1]);
    }
}
