//! The settings about services that call over gRPC, and the command that makes their tokens.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::{parse_service_name, parse_time};
use crate::domain::Time;

/// Settings about services that call over gRPC.
#[derive(Args, Clone, Debug)]
pub struct CallerSettings {
    /// File with the tokens that calling services send as "authorization: Bearer …": one line a
    /// token, NAME sha256:HEX [NOT-AFTER], as `cdn-activation token new` prints it. It is read again
    /// when it changes. Without it, no token is valid; `dev` creates a file with a single token.
    #[arg(long, env = "SERVICE_TOKEN_FILE")]
    pub service_token_file: Option<PathBuf>,
    /// File that says in TOML which methods and accounts each calling service is granted. It is read
    /// again when it changes. Without it, `serve` grants nothing; in `dev`, the identity dev may do
    /// everything.
    #[arg(long, env = "GRANTS_FILE")]
    pub grants_file: Option<PathBuf>,
    /// Whether the gRPC listener has the reflection service, which shows the API to every calling
    /// service.
    #[arg(long, env = "REFLECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub reflection: bool,
}

/// Settings of `token`.
#[derive(Args, Debug)]
pub struct TokenSettings {
    /// The command.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// The commands of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Prints a new token in a line "token: …", and its line of SERVICE_TOKEN_FILE in a line
    /// "line: …". The second does not reveal the token.
    New(NewTokenSettings),
}

/// Settings of `token new`.
#[derive(Args, Debug)]
pub struct NewTokenSettings {
    /// Name of the service that gets the token: 1 to 255 visible ASCII characters.
    #[arg(value_name = "NAME", value_parser = parse_service_name)]
    pub name: String,
    /// Instant from which the token is not valid any more (yyyy-MM-ddTHH:mm:ssZ). Without it, the
    /// token is valid until its line is removed.
    #[arg(long, value_parser = parse_time)]
    pub not_after: Option<Time>,
}
