//! Advice in the errors of the gRPC listener: the address of the page about the code, and what the
//! error means in the language of the caller. It is added to the finished response, so every error
//! gets it that ends a call in its first headers, whichever layer has made it.

use std::sync::Arc;

use http::{HeaderMap, Response, header};
use tonic::Status;
use tonic_types::StatusExt;

use crate::error::texts::{self, Language};

/// Returns the description of the link to the page of the error.
fn description(language: Language) -> &'static str {
    match language {
        Language::English => "What the error means and what to do",
        Language::Chinese => "该错误的含义和处理建议",
    }
}

/// Adds advice to errors.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The address of the explorer, which ends with a slash.
    explorer_url: Option<Arc<str>>,
}

impl Advice {
    /// Returns advice with links to this explorer, or without links.
    #[must_use]
    pub fn new(explorer_url: Option<Arc<str>>) -> Self {
        Self { explorer_url }
    }

    /// Returns the language that a caller asks for in its metadata, if it asks for any.
    #[must_use]
    pub fn language(headers: &HeaderMap) -> Option<Language> {
        let asked = headers.get(header::ACCEPT_LANGUAGE)?;
        Some(Language::preferred(asked.to_str().unwrap_or_default()))
    }

    /// Adds the link and, if the caller asks for a language, the localized message. A response that
    /// is not an error stays as it is.
    pub fn add_to<B>(&self, response: &mut Response<B>, language: Option<Language>) {
        let headers = response.headers_mut();
        if headers.contains_key(Status::GRPC_STATUS)
            && (self.explorer_url.is_some() || language.is_some())
            && let Some(advised) = self.advised(headers, language)
        {
            // The status has the names of the headers that are there already and replaces them.
            let _ = advised.add_header(headers);
        }
    }

    fn advised(&self, headers: &HeaderMap, language: Option<Language>) -> Option<Status> {
        let status = Status::from_header_map(headers)?;
        let mut details = status.get_error_details();
        let code = details.error_info()?.reason.clone();
        if let Some(explorer_url) = &self.explorer_url {
            let description = description(language.unwrap_or(Language::English));
            details.add_help_link(description, texts::address(explorer_url, &code));
        }
        if let Some(language) = language
            && let Some(message) =
                texts::localized(&code, status.code(), status.message(), language)
        {
            details.set_localized_message(language.locale(), message);
        }
        Some(Status::with_error_details(status.code(), status.message(), details))
    }
}
