//! V3 requests that can be changed before and after they are signed. Like the rest of the client,
//! they use no code of the server.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Api;
use super::rest::{Key, Parameters, Reply, hex, nonce, parameters, query};

/// Headers by their lower-case names.
pub type Headers = BTreeMap<String, String>;

const AUTHORIZATION: &str = "authorization";

/// A V3 request, and what it signs.
#[derive(Clone, Debug)]
pub struct DraftV3 {
    /// The method.
    pub method: String,
    /// Parameters of the query.
    pub query: Parameters,
    /// The headers, including `host`. The signature adds `authorization`.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl DraftV3 {
    /// Sets a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sets a form as the body.
    pub fn with_form(self, form: &str) -> Self {
        let body = query(&parameters(form)).into_bytes();
        let hash = hex(&Sha256::digest(&body));
        let mut draft = self
            .with("content-type", "application/x-www-form-urlencoded")
            .with("x-acs-content-sha256", &hash);
        draft.body = body;
        draft
    }

    /// Returns the headers except `host`, which `send` and `request` write themselves.
    pub fn headers_without_host(&self) -> Vec<(&str, &str)> {
        let headers = self.headers.iter().filter(|(name, _)| *name != "host");
        headers.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Returns the lines of all headers as they are sent.
    pub fn lines(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        lines.collect::<Vec<_>>().concat()
    }

    /// Returns the names of all headers, as `SignedHeaders` lists them.
    pub fn names(&self) -> String {
        let names = self.headers.keys().filter(|name| *name != AUTHORIZATION);
        names.cloned().collect::<Vec<_>>().join(";")
    }

    /// Returns the canonical request if these headers are signed.
    pub fn canonical_request(&self, signed: &str) -> String {
        let value = |name: &str| self.headers.get(name).map_or("", |value| value.trim());
        let lines = signed.split(';').map(|name| format!("{name}:{}\n", value(name)));
        let lines = lines.collect::<Vec<_>>().concat();
        let (query, hash) = (query(&self.query), value("x-acs-content-sha256"));
        format!("{}\n/\n{query}\n{lines}\n{signed}\n{hash}", self.method)
    }

    /// Returns the string to sign if these headers are signed.
    pub fn string_to_sign(&self, signed: &str) -> String {
        format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(self.canonical_request(signed))))
    }

    /// Returns the signature over these headers.
    pub fn signature(&self, key: &Key, signed: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("any length");
        mac.update(self.string_to_sign(signed).as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Signs all headers.
    pub fn signed(self, key: &Key) -> Self {
        let names = self.names();
        self.signed_over(key, &names)
    }

    /// Signs these headers.
    pub fn signed_over(self, key: &Key, signed: &str) -> Self {
        let signature = self.signature(key, signed);
        let fields = format!("Credential={},SignedHeaders={signed},Signature={signature}", key.id);
        self.with(AUTHORIZATION, &format!("ACS3-HMAC-SHA256 {fields}"))
    }
}

impl Api {
    /// Returns a V3 POST with its parameters in the query, not signed yet. `given` is unencoded.
    pub fn draft(&self, action: &str, version: &str, given: &str) -> DraftV3 {
        let headers = [
            ("host", self.addresses.rest.to_string()),
            ("x-acs-action", action.to_owned()),
            ("x-acs-version", version.to_owned()),
            ("x-acs-content-sha256", hex(&Sha256::digest(b""))),
            ("x-acs-date", self.timestamp()),
            ("x-acs-signature-nonce", nonce()),
        ];
        DraftV3 {
            method: "POST".to_owned(),
            query: parameters(given),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: Vec::new(),
        }
    }

    /// Sends a draft as it is.
    pub async fn send_draft(&self, draft: &DraftV3) -> Reply {
        self.send(
            &draft.method,
            &format!("/?{}", query(&draft.query)),
            &draft.headers_without_host(),
            &draft.body,
        )
        .await
    }
}
