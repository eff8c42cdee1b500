//! What `serve` forbids itself before it reads a secret: a core dump and a debugger would show the
//! secrets in its memory to others.

use anyhow::Context;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps, and tracing by processes without `CAP_SYS_PTRACE`.
///
/// The limit is needed beside the attribute: programs that this process starts have the attribute
/// again, and keep the limit. The attribute is needed beside the limit: the limit does not apply
/// where the system passes core dumps to a program.
pub(super) fn forbid_dumps() -> anyhow::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).context("cannot forbid core dumps")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("cannot forbid core dumps and tracing")
}
