//! The same service in other languages: `bench/peers/`. If a language is not installed, its rows are
//! left out and the report says so.

use std::path::Path;
use std::process::{Command, Stdio};

/// The exit status of `prepare` if the language is missing.
const MISSING: i32 = 3;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Go: grpc-go and pgx.
    Go,
    /// Node.js: grpc-js and pg.
    Node,
    /// Python: grpcio and asyncpg.
    Python,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Go, Self::Node, Self::Python];

    /// Returns its directory, which is its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    /// Returns the script that prepares and serves it.
    pub(super) fn script(self) -> Command {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        Command::new(directory.join(self.name()).join("run"))
    }
}

/// Builds a peer. The error says why it is left out.
pub fn prepare(peer: Peer) -> Result<(), String> {
    let name = peer.name();
    let output = peer.script().arg("prepare").stdout(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: bench/peers/{name}/run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it did not say why").trim().to_owned();
    if output.status.code() == Some(MISSING) {
        return Err(format!("{name}: {last}"));
    }
    Err(format!("{name}: it could not be prepared: {last}"))
}
