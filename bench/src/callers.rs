//! The files by which our service knows the load as a calling service: its token, and grants for
//! everything.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use cdn_activation::auth::services::ServiceToken;

const TOKENS: &str = "service-tokens";
const GRANTS: &str = "grants.toml";
const NAME: &str = "bench";

/// Writes both files into a directory, for this token.
pub fn write(directory: &Path, token: &str) -> anyhow::Result<()> {
    let line = ServiceToken::new(token).line(NAME, None);
    write_secret(&directory.join(TOKENS), &format!("{line}\n"))?;
    let grants = format!(
        "[[identity]]\nname = \"{NAME}\"\nactions = [\"*\"]\noperators = [\"*\"]\naudit = true\ncredentials = true\n"
    );
    Ok(write_secret(&directory.join(GRANTS), &grants)?)
}

/// Names both files to a service that is started.
pub fn name_to(command: &mut Command, directory: &Path) {
    command.env("SERVICE_TOKEN_FILE", directory.join(TOKENS));
    command.env("GRANTS_FILE", directory.join(GRANTS));
}

/// Writes a file that only its owner can read. An earlier one is replaced.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    fs::remove_file(path).ok();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
