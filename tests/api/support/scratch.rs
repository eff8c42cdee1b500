//! Directories of a test, which are removed with it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of one test that every user can enter, because PostgreSQL may run as another user.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Creates one below the directory for temporary files.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cdn-activation-scratch-{}-{count}", std::process::id());
        let temporary = fs::canonicalize(std::env::temp_dir()).expect("it exists");
        let path = temporary.join(name);
        fs::create_dir(&path).expect("a name that is free");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    /// Returns the processes that work below this directory or name it in their arguments.
    pub fn processes(&self) -> Vec<String> {
        let here = self.0.to_str().expect("UTF-8");
        let processes = fs::read_dir("/proc").expect("Linux").flatten().filter_map(|process| {
            let directory = fs::read_link(process.path().join("cwd")).unwrap_or_default();
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let (id, line) = (process.path(), String::from_utf8_lossy(&line).into_owned());
            Some(format!("{} in {}: {line}", id.display(), directory.display()))
        });
        processes.filter(|process| process.contains(here)).collect()
    }

    /// Writes a file that only its owner can read into the directory, and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        write_secret(&path, text);
        path.to_str().expect("UTF-8").to_owned()
    }
}

/// Writes a file that only its owner can read, as the program demands of files with secrets.
pub fn write_secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("it is ours");
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
