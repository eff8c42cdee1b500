//! The files of the page, which are part of the program.

/// Every file of `web/`: its path there, and its text. `build.rs` writes the list.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/explorer.rs"));

/// The content type of JSON.
pub const JSON: &str = "application/json";

/// A file that the page loads as it is.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The path below `/explorer/`.
    pub path: &'static str,
    /// The content type.
    pub content_type: &'static str,
    /// The content.
    pub text: &'static str,
}

/// Returns the files that the page loads as they are.
pub fn assets() -> impl Iterator<Item = Asset> {
    FILES.iter().filter_map(|(path, text)| {
        let content_type = match *path {
            "style.css" => "text/css; charset=utf-8",
            "icon.svg" => "image/svg+xml",
            path if path.starts_with("js/") => "text/javascript; charset=utf-8",
            "texts/en.json" | "texts/zh.json" => JSON,
            _ => return None, // a template, or data for the server
        };
        Some(Asset { path, content_type, text })
    })
}

/// Returns the text of a file.
///
/// # Panics
///
/// Panics if there is no such file.
pub fn file(path: &str) -> &'static str {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.unwrap_or_else(|| panic!("there is no file {path}")).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_page_loads_is_smaller_than_150_kb() {
        let samples = FILES.iter().filter(|(path, _)| path.starts_with("samples/"));
        let samples: usize = samples.map(|(_, text)| text.len()).sum();
        let bytes: usize = assets().map(|asset| asset.text.len()).sum();
        assert!(bytes + samples < 150_000, "{bytes} and {samples} bytes of samples");
    }

    #[test]
    fn templates_and_translations_of_the_server_are_not_served() {
        let paths: Vec<_> = assets().map(|asset| asset.path).collect();
        assert!(paths.contains(&"style.css") && paths.contains(&"js/page.js"));
        assert!(!paths.contains(&"index.html") && !paths.contains(&"texts/api.zh.json"));
    }
}
