//! The calling services of tests: their tokens, what each is granted, and the files of both.

use std::path::Path;

use bytes::Bytes;
use cdn_activation::auth::services::{ServiceDirectory, ServiceFiles, ServiceToken};
use prost::Message;

use super::TOKEN;
use super::grpc::refusal;
use super::raw_grpc::{RawGrpc, RawReply, framed};
use super::scratch::write_secret;

/// The identity that has [`TOKEN`].
pub const NAME: &str = "tests";

/// A file of grants that lets [`NAME`] do everything.
pub const EVERYTHING: &str = "[[identity]]\nname = \"tests\"\nactions = [\"*\"]\noperators = [\"*\"]\naudit = true\ncredentials = true\n";

/// Returns the line of the file of tokens for a token that does not expire.
pub fn line(name: &str, token: &str) -> String {
    ServiceToken::new(token).line(name, None) + "\n"
}

/// Returns the content of a file of tokens with the token of tests.
pub fn tokens() -> String {
    line(NAME, TOKEN)
}

/// Returns a directory in which [`NAME`] may do everything.
pub fn directory() -> ServiceDirectory {
    ServiceDirectory::of(&tokens(), EVERYTHING).expect("valid files")
}

/// Writes the files of tokens and of grants of [`NAME`], and returns the variables that name them.
pub fn files(directory: &Path) -> [(&'static str, String); 2] {
    let files = [
        ("SERVICE_TOKEN_FILE", "service-tokens", tokens()),
        ("GRANTS_FILE", "grants.toml", EVERYTHING.to_owned()),
    ];
    files.map(|(variable, name, text)| {
        let path = directory.join(name);
        write_secret(&path, &text);
        (variable, path.to_str().expect("UTF-8").to_owned())
    })
}

/// Opens the files of tokens and grants that a server reads again when they change.
pub fn open(tokens: &Path, grants: &Path) -> ServiceDirectory {
    let (tokens, grants) = (Some(tokens.to_owned()), Some(grants.to_owned()));
    let files = ServiceFiles { tokens, grants, development: false };
    ServiceDirectory::open(files).expect("valid files")
}

/// Returns the file of grants of one identity with these lines.
pub fn grants(name: &str, lines: &str) -> String {
    format!("[[identity]]\nname = \"{name}\"\n{lines}\n")
}

impl RawGrpc {
    /// Calls a method with this token. `metadata` is added.
    pub async fn call_with(
        &self,
        token: &str,
        path: &str,
        metadata: &[(&str, &str)],
        message: &impl Message,
    ) -> RawReply {
        let authorization = format!("Bearer {token}");
        let metadata = [&[("authorization", authorization.as_str())], metadata].concat();
        let body: Bytes = framed(&message.encode_to_vec());
        self.send(path, &metadata, body).await
    }
}

impl RawReply {
    /// Returns the documented code of a refusal, or `OK`.
    pub fn code(&self) -> String {
        let status = self.status();
        if status.code() == tonic::Code::Ok { "OK".to_owned() } else { refusal(&status).code }
    }
}
