//! The API explorer and the error center, on the listener of the RPC query format: a page in the
//! browser calls the same signed API of the same origin that an SDK calls. Requests are signed in
//! the page; the server sees no secret. Everything that the page loads is part of the program.

mod assets;
mod catalog;
mod descriptors;
pub mod errors;
pub mod html;
mod language;
pub mod openapi;
mod page;
mod responses;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT_LANGUAGE;
use http::{Method, Request, Response};
use http_body_util::Full;

use self::assets::{JSON, assets};
use self::language::requested;
use self::responses::{Content, HTML, Turns};
use crate::error::texts::Language;

/// The path of the page.
const ROOT: &str = "/explorer/";

/// What the page offers beside the descriptors of the API.
#[derive(Clone, Debug, Default)]
pub struct ExplorerSettings {
    /// Accounts to choose from, with their secrets. Only `dev` has some: they are its published demo
    /// accounts.
    pub accounts: Vec<DemoAccount>,
    /// The address of the gRPC listener, for samples.
    pub grpc: Option<SocketAddr>,
}

/// An account that a visitor of the page may use.
#[derive(Clone, Debug)]
pub struct DemoAccount {
    /// The account.
    pub account_id: i64,
    /// Its access key.
    pub access_key_id: &'static str,
    /// The secret of the key, which is published.
    pub access_key_secret: &'static str,
    /// What is special about the account, in English and in Chinese.
    pub notes: [&'static str; 2],
}

/// Answers everything below `/explorer/`. Clones share the contents.
#[derive(Clone)]
pub struct Explorer(Arc<Contents>);

/// The answers that do not depend on the request.
struct Contents {
    /// By path, for paths that are the same in every language.
    files: HashMap<String, Content>,
    /// The page and the description of the actions, in each language.
    pages: [Content; 2],
    actions: [Content; 2],
    /// The places of requests to explain a signature.
    explaining: Turns,
}

impl Explorer {
    /// Builds all contents.
    #[must_use]
    pub fn new(settings: &ExplorerSettings) -> Self {
        let mut files = HashMap::new();
        for asset in assets() {
            let content = Content::new(asset.content_type, asset.text);
            files.insert(asset.path.to_owned(), content);
        }
        let mut openapi = openapi::document();
        openapi["servers"] = serde_json::json!([{ "url": "/" }]); // the one that serves it
        files.insert("openapi.json".to_owned(), Content::new(JSON, openapi.to_string()));
        files.insert("samples.json".to_owned(), Content::new(JSON, page::samples()));
        let both = [Language::English, Language::Chinese];
        Self(Arc::new(Contents {
            files,
            pages: both.map(|language| Content::new(HTML, page::render(language))),
            actions: both.map(|language| Content::new(JSON, page::actions(language, settings))),
            explaining: Turns::default(),
        }))
    }

    /// Returns whether a request is for the explorer.
    #[must_use]
    pub fn is_for<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path();
        path.starts_with(ROOT) || path == ROOT.trim_end_matches('/')
    }

    /// Answers a request that [`Explorer::is_for`] the explorer.
    pub async fn answer<B>(self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(path) = request.uri().path().strip_prefix(ROOT).map(str::to_owned) else {
            return responses::moved(ROOT);
        };
        if path == "errors" {
            return responses::moved("/explorer/errors/");
        }
        if path == "explain" {
            return responses::explained(request, &self.0.explaining).await;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return responses::method_not_allowed("GET, HEAD");
        }
        let header = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = requested(request.uri().query(), header);
        match self.0.find(&path, language) {
            Some(content) => content.response(request.headers()),
            None => responses::not_found(language),
        }
    }
}

impl Contents {
    fn find(&self, path: &str, language: Language) -> Option<Content> {
        let number = usize::from(language == Language::Chinese);
        match path {
            "" => Some(self.pages[number].clone()),
            "actions.json" => Some(self.actions[number].clone()),
            "errors/" => Some(Content::new(HTML, errors::list(language))),
            _ => match path.strip_prefix("errors/") {
                Some(code) => errors::page(code, language).map(|html| Content::new(HTML, html)),
                None => self.files.get(path).cloned(),
            },
        }
    }
}
