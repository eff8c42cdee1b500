//! The server's shared memory in huge pages, as its manual advises for so much of it: who looks for
//! rows that are spread over a gigabyte otherwise waits for the processor's page tables, too. The kernel
//! has to set such pages aside, which takes root; they are given back when the run ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

/// How many the kernel has set aside.
const SET_ASIDE: &str = "/proc/sys/vm/nr_hugepages";
/// Gives them back when its input ends: when this process does, in whatever way.
const GIVE_BACK: &str = r#"trap '' HUP INT TERM; read -r line; echo "$1" >"$0""#;

/// Huge pages that are set aside until this is dropped.
pub struct HugePages(Child);

impl HugePages {
    /// Makes sure that so many are free; `None` where they are already.
    pub fn set_aside(wanted: u64) -> io::Result<Option<Self>> {
        let missing = wanted.saturating_sub(free()?);
        if missing == 0 {
            return Ok(None);
        }
        let before = number(SET_ASIDE, &fs::read_to_string(SET_ASIDE)?)?;
        let mut set_aside = File::options().write(true).open(SET_ASIDE)?; // not allowed: nothing has begun
        let mut give_back = Command::new("sh");
        give_back.args(["-c", GIVE_BACK, SET_ASIDE, &before.to_string()]);
        let pages = Self(give_back.stdin(Stdio::piped()).spawn()?);
        let then = before + missing;
        set_aside.write_all(then.to_string().as_bytes())?;
        if number(SET_ASIDE, &fs::read_to_string(SET_ASIDE)?)? < then {
            return Err(io::Error::other("the kernel finds no room for them"));
        }
        Ok(Some(pages))
    }

    /// Whether a process has memory in some.
    pub fn are_used_by(pid: u32) -> bool {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
        maps.is_ok_and(|maps| maps.contains("/anon_hugepage"))
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            println!("huge pages were not given back: {error}");
        }
    }
}

/// How many nobody has, or has been promised.
fn free() -> io::Result<u64> {
    let all = fs::read_to_string("/proc/meminfo")?;
    let of = |name: &str| {
        let line = all.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        number(name, line)
    };
    Ok(of("HugePages_Free:")?.saturating_sub(of("HugePages_Rsvd:")?))
}

fn number(what: &str, text: &str) -> io::Result<u64> {
    text.trim().parse().map_err(|_| io::Error::other(format!("{what} is no number: {text}")))
}
