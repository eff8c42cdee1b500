//! The process that owns the server and outlives us, however we end.
//!
//! It is a shell whose standard input is a pipe from us, the lifeline. We do not close our end
//! while the server should run, and the kernel closes it when we end in any way, SIGKILL included.
//! No other process holds that end: std marks it close-on-exec.

use super::Durability;
use super::directories::Directories;
use super::error::{StartError, cannot};
use super::log::Log;
use super::user::ServerUser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin};

/// What the shell does. Its arguments: the signal that stops the server, the data directory to
/// remove (or nothing), the socket directory to remove (or nothing), the server's command.
///
/// * The first line on the lifeline starts the server. Without one, the shell only removes the
///   directories.
/// * A second shell waits for the lifeline's end, because the first one waits for the server. It
///   repeats the signal, because a server that is only just starting may miss it, and sends
///   stronger ones later.
/// * SIGTERM to the process group, at the end, is for that second shell and its `sleep`.
/// * A signal to the shell itself stops the server as well.
/// * Removal is repeated while a dying process still writes. It uses fixed names and no patterns.
const SCRIPT: &str = r#"
signal=$1 data=$2 socket=$3
shift 3
exec 3<&0 </dev/null
trap : HUP INT TERM
if read -r line <&3; then
  "$@" 3<&- &
  server=$!
  trap 'kill -s "$signal" "$server"' HUP INT TERM
  (
    trap - HUP INT TERM
    read -r line <&3
    seconds=0
    while kill -s "$signal" "$server"; do
      sleep 1
      seconds=$((seconds + 1))
      [ "$seconds" -lt 20 ] || signal=QUIT
      [ "$seconds" -lt 30 ] || signal=KILL
    done
  ) >/dev/null 2>&1 &
  exec 3<&-
  while kill -s 0 "$server" 2>/dev/null; do wait "$server"; done
  trap '' HUP INT TERM
  kill -s TERM 0
fi
trap '' HUP INT TERM
if [ -n "$data" ]; then
  attempts=0
  until rm -rf -- "$data/postgres" "$data/postgres.new" || [ "$attempts" -ge 5 ]; do
    sleep 1
    attempts=$((attempts + 1))
  done
  rm -f -- "$data/postgres.log"
fi
if [ -n "$socket" ]; then
  rm -f -- "$socket/.s.PGSQL.5432" "$socket/.s.PGSQL.5432.lock"
  rmdir -- "$socket"
fi
[ -z "$data" ] || rmdir -- "$data"
"#;

/// The watchdog. Dropping it stops the server, removes what is to be removed, and waits.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts the watchdog for a server that is started later. From now on nothing is left
    /// behind, whenever we end.
    pub(super) fn spawn(
        server: impl Iterator<Item = OsString>,
        directories: &Directories,
        durability: Durability,
        user: &ServerUser,
        log: &Log,
    ) -> Result<Self, StartError> {
        let nothing = Path::new("");
        let data = if directories.is_throwaway() { directories.data_dir() } else { nothing };
        let passing = directories.has_passing_socket_dir();
        let socket = if passing { directories.socket_dir() } else { nothing };
        let signal = match durability {
            Durability::Durable => "INT",
            Durability::Throwaway => "QUIT",
        };
        let mut shell = user.command("/bin/sh");
        shell.args(["-c", SCRIPT, "watchdog", signal]).arg(data).arg(socket).args(server);
        // A group of its own: Ctrl-C on the terminal is for us, and we close the lifeline.
        shell.process_group(0).stdin(std::process::Stdio::piped());
        shell.stdout(log.output()?).stderr(log.output()?);
        let mut shell = shell.spawn().map_err(|error| user.cannot_run(error))?;
        let lifeline = shell.stdin.take();
        Ok(Self { shell, lifeline })
    }

    /// Starts the server.
    pub(super) fn start_server(&mut self) -> Result<(), StartError> {
        let shell = Path::new("/bin/sh");
        let lifeline =
            self.lifeline.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe));
        let written = lifeline.and_then(|lifeline| lifeline.write_all(b"start\n"));
        written.map_err(cannot("instruct", shell))
    }

    /// Whether the server, and with it the watchdog, has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The script ends by itself: in the end the server gets SIGKILL.
        let _ = self.shell.wait();
    }
}
