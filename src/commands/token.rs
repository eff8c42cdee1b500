//! `token`: makes tokens for services that call over gRPC.

use super::print;
use crate::auth::services::ServiceToken;
use crate::config::{TokenCommand, TokenSettings};

/// Runs the command.
pub fn run(settings: &TokenSettings) -> anyhow::Result<()> {
    let TokenCommand::New(new) = &settings.command;
    let token = ServiceToken::generate()?;
    print(format_args!("token: {}\nline: {}", token.expose(), token.line(&new.name, new.not_after)))
}
