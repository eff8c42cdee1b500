//! The calling services of tests: their tokens, what each is granted, and the files of both.

use std::path::Path;

use cdn_activation::auth::services::{ServiceDirectory, ServiceToken};

use super::TOKEN;
use super::scratch::write_secret;

/// The identity that has [`TOKEN`].
pub const NAME: &str = "tests";

/// A file of grants that lets [`NAME`] do everything.
pub const EVERYTHING: &str =
    "[[identity]]\nname = \"tests\"\nactions = [\"*\"]\noperators = [\"*\"]\naudit = true\n";

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
