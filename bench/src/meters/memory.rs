//! The peak memory of a process since an instant.

use std::fs;

use super::processes::tree;

/// Resets the peaks of a process and its descendants.
pub fn forget_peaks(root: u32) {
    for pid in tree(root) {
        // Without the permission, the peak is that since the start of the process.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
    }
}

/// Returns the sum of the peaks of a process and its descendants, in MiB.
pub fn peak(root: u32) -> f64 {
    tree(root).into_iter().map(peak_of).sum::<f64>() / 1024.0
}

fn peak_of(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kibibytes.unwrap_or(0.0)
}
