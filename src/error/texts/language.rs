//! The languages of the texts.

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Both languages.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the name of the language in an address: `en` or `zh`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// Returns the language of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }

    /// Returns the locale of the texts, as in BCP 47.
    #[must_use]
    pub fn locale(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// Returns the language that a list of preferences (`accept-language`) likes best. If it accepts
    /// neither language, or cannot be read, this is English.
    #[must_use]
    pub fn preferred(accept_language: &str) -> Self {
        let mut best = (Self::English, 0.0);
        for item in accept_language.split(',') {
            let (range, parameters) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            let primary = range.trim().split('-').next().unwrap_or_default();
            let language = Self::ALL.into_iter().find(|language| match primary {
                "*" => *language == Self::English,
                primary => primary.eq_ignore_ascii_case(language.name()),
            });
            if let (Some(language), Some(weight)) = (language, weight)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_largest_weight_is_preferred() {
        for chinese in
            ["zh", "zh-CN", "ZH-hans-CN", "fr, zh;q=0.5", "en;q=0.4, zh ; q=0.5", "zh,en"]
        {
            assert_eq!(Language::preferred(chinese), Language::Chinese, "{chinese}");
        }
        for english in [
            "en",
            "en-US,en;q=0.9",
            "*",
            "en, zh",
            "zh;q=0.5, *",
            "zh;q=0",
            "zh;q=x",
            "zhx",
            "fr",
            "",
            ",;=,-",
        ] {
            assert_eq!(Language::preferred(english), Language::English, "{english}");
        }
    }

    #[test]
    fn a_language_has_a_name() {
        assert_eq!(Language::of_name("zh"), Some(Language::Chinese));
        assert_eq!(Language::of_name("en").map(Language::locale), Some("en"));
        assert_eq!(Language::of_name("EN").or(Language::of_name("")), None);
    }
}
