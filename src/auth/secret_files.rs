//! Files with secrets, and files that decide who may do what. A file that other users of the machine
//! can read or change is refused, because its owner would not notice.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// Largest size of such a file, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;

/// The bits of a mode that let other users read and write.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// A file that cannot be used. The text is one sentence, without the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum FileRefused {
    /// The system refuses to read the file.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// Other users can read or write the file.
    #[error("{path} can be {may} by every user; run: chmod {change} {path}")]
    OpenToOthers {
        /// The path.
        path: String,
        /// What other users can do.
        may: &'static str,
        /// The change of the mode that takes it from them.
        change: &'static str,
    },
    /// The file has more than [`LARGEST_FILE`] bytes.
    #[error("{path} is larger than 1 MiB")]
    TooLarge {
        /// The path.
        path: String,
    },
    /// The file is not a text.
    #[error("{path} is not a text in UTF-8")]
    NotText {
        /// The path.
        path: String,
    },
}

/// Reads a file with a secret. It is refused if other users can read or write it.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FileRefused> {
    read(path, OTHERS_READ | OTHERS_WRITE)
}

/// Reads a file without a secret that decides who may do what. It is refused if other users can
/// write it.
pub fn read_trusted(path: &Path) -> Result<Zeroizing<String>, FileRefused> {
    read(path, OTHERS_WRITE)
}

/// Reads a file. The mode is that of the file which was opened, after all symbolic links.
fn read(path: &Path, refused: u32) -> Result<Zeroizing<String>, FileRefused> {
    let name = || path.display().to_string();
    let unreadable = |cause| FileRefused::Unreadable { path: name(), cause };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let open = metadata.mode() & refused;
    if open != 0 {
        let (may, change) = match (open & OTHERS_READ != 0, open & OTHERS_WRITE != 0) {
            (true, true) => ("read and written", "o-rw"),
            (true, false) => ("read", "o-r"),
            (false, _) => ("written", "o-w"),
        };
        return Err(FileRefused::OpenToOthers { path: name(), may, change });
    }
    // One byte more than the limit shows that the file is larger. The room is taken at once: a
    // buffer that grows would leave copies of the secret behind.
    let room = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(LARGEST_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LARGEST_FILE {
        return Err(FileRefused::TooLarge { path: name() });
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(FileRefused::NotText { path: name() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_that_other_users_can_read_or_write_is_refused() {
        let directory = std::env::temp_dir().join(format!("secret-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (path, link) = (directory.join("key"), directory.join("link"));
        fs::write(&path, "secret\n").unwrap();
        symlink(&path, &link).unwrap();
        let name = path.display();
        for (mode, secret, trusted) in [
            (0o600, None, None),
            (0o440, None, None),
            (0o660, None, None),
            (0o644, Some(format!("{name} can be read by every user; run: chmod o-r {name}")), None),
            (
                0o602,
                Some(format!("{name} can be written by every user; run: chmod o-w {name}")),
                Some(format!("{name} can be written by every user; run: chmod o-w {name}")),
            ),
            (
                0o666,
                Some(format!(
                    "{name} can be read and written by every user; run: chmod o-rw {name}"
                )),
                Some(format!("{name} can be written by every user; run: chmod o-w {name}")),
            ),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let sentence = |read: Result<Zeroizing<String>, FileRefused>| match read {
                Ok(text) => {
                    assert_eq!(*text, "secret\n");
                    None
                }
                Err(refused) => Some(refused.to_string()),
            };
            assert_eq!(sentence(read_secret(&path)), secret, "{mode:o}");
            assert_eq!(sentence(read_trusted(&path)), trusted, "{mode:o}");
            assert_eq!(
                read_secret(&link).is_err(),
                secret.is_some(),
                "a link has its target's mode"
            );
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_file_of_more_than_one_mebibyte_is_refused() {
        let path = std::env::temp_dir().join(format!("secret-file-large-{}", std::process::id()));
        let write = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            read_secret(&path)
        };
        assert_eq!(write(&vec![b'a'; LARGEST_FILE]).unwrap().len(), LARGEST_FILE);
        let refused = write(&vec![b'a'; LARGEST_FILE + 1]).unwrap_err();
        assert_eq!(refused.to_string(), format!("{} is larger than 1 MiB", path.display()));
        let refused = write(b"\xff").unwrap_err();
        assert_eq!(refused.to_string(), format!("{} is not a text in UTF-8", path.display()));
        fs::remove_file(&path).unwrap();
    }
}
