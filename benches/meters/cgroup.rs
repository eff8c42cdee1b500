//! One CPU group for all processes of a run.
//!
//! The kernel's autogroup gives every session its own share of the CPU, and each backend of
//! PostgreSQL is a session of its own: a design with many backends would get many shares where one
//! with few gets few. In a control group there is no autogroup.

use std::fs;
use std::path::{Path, PathBuf};

const NAME: &str = "cdn-activation-bench";

/// Membership of the group. Dropping it leaves the group and removes it.
#[derive(Debug)]
pub struct Group {
    group: Option<PathBuf>,
}

impl Group {
    /// Enters a new group, where that is possible: processes started from now on are in it, too.
    pub fn enter() -> Self {
        // Version 1, where the controller has a hierarchy of its own, then version 2.
        let places = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"];
        let places = places.into_iter().map(Path::new).filter(|place| place.is_dir());
        Self { group: places.into_iter().find_map(enter_below) }
    }

    /// What the output says of it.
    pub fn describe(&self) -> &'static str {
        match self.group {
            Some(_) => "one CPU group for all processes",
            None => {
                "NO common CPU group (that needs root): the kernel may favour designs with many \
                 processes"
            }
        }
    }
}

fn enter_below(place: &Path) -> Option<PathBuf> {
    let is_second_version = place.join("cgroup.controllers").exists();
    if is_second_version {
        fs::write(place.join("cgroup.subtree_control"), "+cpu").ok()?;
    }
    let group = place.join(NAME);
    if !group.is_dir() {
        fs::create_dir(&group).ok()?;
    }
    let has_shares = group.join("cpu.shares").exists() || group.join("cpu.weight").exists();
    let entered = has_shares && fs::write(group.join("cgroup.procs"), own_pid()).is_ok();
    if !entered {
        fs::remove_dir(&group).ok();
    }
    entered.then_some(group)
}

fn own_pid() -> String {
    std::process::id().to_string()
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = &self.group
            && let Some(parent) = group.parent()
        {
            fs::write(parent.join("cgroup.procs"), own_pid()).ok();
            fs::remove_dir(group).ok(); // in vain while another run is in it
        }
    }
}
