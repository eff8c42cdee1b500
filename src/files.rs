//! Files that are followed: those that say who may call, and those with which the process proves who
//! it is. They are read again and again, so that a change needs no restart.
//!
//! The contents are compared, and not the times of the files, because Kubernetes replaces a mounted
//! file by changing a symbolic link. A new content is used only if two looks in a row find it: a
//! file that is empty or incomplete for a moment, because it is being written, changes nothing.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::metrics::FileOutcomes;

/// Interval between two looks at a file. A new content is in force after two looks, so within 6 s
/// and the time that reading takes. `docs/limits.md` promises 10 s.
pub const LOOK: Duration = Duration::from_secs(3);

/// A file that is followed, or several that are used together.
pub trait FollowedFile: Send + Sync + 'static {
    /// What the log and the metrics call it.
    const NAME: &'static str;
    /// Whether a content that was refused is tried again at each look, because the reason can pass.
    /// Only the first refusal is reported.
    const TRIED_AGAIN: bool = false;
    /// What it contains.
    type Content;

    /// Reads it. The error is a sentence that does not show the content.
    fn read(&self) -> Result<Self::Content, String>;

    /// Returns all parts of a content, for its digest.
    fn parts(content: &Self::Content) -> Vec<&[u8]>;

    /// Puts a new content in force. Returns what the log says about it. The error is a sentence that
    /// does not show the content; then the earlier content stays in force.
    fn apply(&self, content: Self::Content) -> Result<String, String>;
}

/// A digest of what was read: of the content, or of the reason why there was none. The content
/// itself can be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Returns the digest of the content of `F` that has these parts.
    #[must_use]
    pub fn of<F: FollowedFile>(content: &F::Content) -> Self {
        Self::of_parts(&F::parts(content))
    }

    fn of_read<F: FollowedFile>(read: &Result<F::Content, String>) -> Self {
        match read {
            Ok(content) => Self::of::<F>(content),
            Err(sentence) => Self::of_parts(&[b"unreadable", sentence.as_bytes()]),
        }
    }

    fn of_parts(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

/// Reads a file for the first time, and puts its content in force. Returns the digest of the content.
pub fn open<F: FollowedFile>(file: &F) -> Result<ContentDigest, String> {
    let content = file.read()?;
    let digest = ContentDigest::of::<F>(&content);
    file.apply(content)?;
    Ok(digest)
}

/// How files are followed. It is the same for all of them.
#[derive(Clone, Debug)]
pub struct Following {
    /// Interval between two looks.
    pub every: Duration,
    /// Where outcomes are counted.
    pub outcomes: FileOutcomes,
}

impl Following {
    /// Looks at a file until `shutdown`. `first` is the digest of the content that is in force.
    pub async fn follow<F: FollowedFile>(
        &self,
        file: F,
        first: ContentDigest,
        shutdown: CancellationToken,
    ) {
        let file = Arc::new(file);
        let mut seen = Seen { judged: first, last: first, tries_again: false };
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = shutdown.cancelled() => return,
            }
            let looked_at = Arc::clone(&file);
            // Reading may wait for a disk, and applying for a database. A panic has its own log line, and changes nothing.
            if let Ok((now, judged)) = spawn_blocking(move || seen.look(&*looked_at)).await {
                if shutdown.is_cancelled() && matches!(judged, Some(Err(_))) {
                    return; // the shutdown may be the reason why it was refused
                }
                seen = now;
                self.report::<F>(judged);
            }
        }
    }

    fn report<F: FollowedFile>(&self, judged: Option<Result<String, String>>) {
        let file = F::NAME;
        match judged {
            Some(Ok(content)) => {
                self.outcomes.applied(file);
                tracing::info!(file, content, "the new content of a file is in force");
            }
            Some(Err(reason)) => {
                self.outcomes.refused(file);
                let what = "refused the new content of a file; the earlier one stays in force";
                tracing::warn!(file, reason, "{what}");
            }
            None => {}
        }
    }
}

/// What earlier looks found.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// What was applied or refused last.
    judged: ContentDigest,
    /// What the last look found.
    last: ContentDigest,
    /// Whether the judged content was refused and is tried again.
    tries_again: bool,
}

impl Seen {
    /// Looks once. Returns what is seen now, and the outcome if a new content was applied or
    /// refused, or if a content that was refused before was applied.
    fn look<F: FollowedFile>(self, file: &F) -> (Self, Option<Result<String, String>>) {
        let read = file.read();
        let last = ContentDigest::of_read::<F>(&read);
        let is_judged = last == self.judged;
        if last != self.last || (is_judged && !self.tries_again) {
            return (Self { last, ..self }, None);
        }
        let outcome = read.and_then(|content| file.apply(content));
        let tries_again = F::TRIED_AGAIN && outcome.is_err();
        let reported = Some(outcome).filter(|outcome| !is_judged || outcome.is_ok());
        (Self { judged: last, last, tries_again }, reported)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A file in memory. A content that begins with `wrong` is refused.
    #[derive(Default)]
    struct InMemory {
        content: Mutex<Option<&'static str>>,
        applied: Mutex<Vec<&'static str>>,
    }

    impl FollowedFile for InMemory {
        const NAME: &'static str = "tokens";
        type Content = &'static str;

        fn read(&self) -> Result<&'static str, String> {
            self.content.lock().unwrap().ok_or_else(|| "cannot read it".to_owned())
        }

        fn parts<'a>(content: &'a &'static str) -> Vec<&'a [u8]> {
            vec![content.as_bytes()]
        }

        fn apply(&self, content: &'static str) -> Result<String, String> {
            if content.starts_with("wrong") {
                return Err(content.to_owned());
            }
            self.applied.lock().unwrap().push(content);
            Ok(String::new())
        }
    }

    /// Looks at these contents in turn, after `a` was in force. Returns the outcome of each look.
    fn looks(contents: &[Option<&'static str>]) -> (Vec<&'static str>, Vec<&'static str>) {
        let file = InMemory::default();
        let first = ContentDigest::of::<InMemory>(&"a");
        let mut seen = Seen { judged: first, last: first, tries_again: false };
        let mut outcomes = Vec::new();
        for content in contents {
            *file.content.lock().unwrap() = *content;
            let (now, outcome) = seen.look(&file);
            seen = now;
            outcomes.push(match outcome {
                None => "",
                Some(Ok(_)) => "applied",
                Some(Err(_)) => "refused",
            });
        }
        (outcomes, file.applied.into_inner().unwrap())
    }

    #[test]
    fn a_content_is_applied_if_two_looks_in_a_row_find_it() {
        let (outcomes, applied) = looks(&[Some("b"), Some("b"), Some("b"), Some("a"), Some("a")]);
        assert_eq!(outcomes, ["", "applied", "", "", "applied"]);
        assert_eq!(applied, ["b", "a"]);
    }

    #[test]
    fn a_content_that_only_one_look_finds_changes_nothing() {
        for passing in [Some(""), Some("wrong"), None] {
            let (outcomes, applied) = looks(&[Some("a"), passing, Some("a"), passing, Some("a")]);
            assert_eq!((outcomes, applied.len()), (vec![""; 5], 0), "{passing:?}");
        }
        let (outcomes, applied) = looks(&[Some("b"), Some("c"), Some("d"), Some("d")]);
        assert_eq!(outcomes, ["", "", "", "applied"], "while it is being written");
        assert_eq!(applied, ["d"]);
    }

    #[test]
    fn a_wrong_content_is_refused_once() {
        let wrong = Some("wrong");
        let (outcomes, applied) = looks(&[wrong, wrong, wrong, None, None, None, wrong, wrong]);
        assert_eq!(outcomes, ["", "refused", "", "", "refused", "", "", "refused"]);
        assert_eq!(applied.len(), 0);
        // The content that is in force is applied again, so that its outcome is no longer refused.
        let (outcomes, applied) = looks(&[wrong, wrong, Some("a"), Some("a")]);
        assert_eq!(outcomes, ["", "refused", "", "applied"]);
        assert_eq!(applied, ["a"]);
    }

    /// A database that refuses a password until it is told otherwise.
    #[derive(Default)]
    struct Asked {
        tried: Mutex<u32>,
    }

    impl FollowedFile for Asked {
        const NAME: &'static str = "database_url";
        const TRIED_AGAIN: bool = true;
        type Content = &'static str;

        fn read(&self) -> Result<&'static str, String> {
            Ok("b")
        }

        fn parts<'a>(content: &'a &'static str) -> Vec<&'a [u8]> {
            vec![content.as_bytes()]
        }

        fn apply(&self, _: &'static str) -> Result<String, String> {
            let mut tried = self.tried.lock().unwrap();
            *tried += 1;
            if *tried < 3 { Err("wrong password".to_owned()) } else { Ok(String::new()) }
        }
    }

    #[test]
    fn a_content_whose_refusal_can_pass_is_tried_again_and_refused_once() {
        let file = Asked::default();
        let first = ContentDigest::of::<Asked>(&"a");
        let mut seen = Seen { judged: first, last: first, tries_again: false };
        let mut outcomes = Vec::new();
        for _ in 0..6 {
            let (now, outcome) = seen.look(&file);
            seen = now;
            outcomes.push(outcome.map(|outcome| outcome.is_ok()));
        }
        assert_eq!(outcomes, [None, Some(false), None, Some(true), None, None]);
        assert_eq!(*file.tried.lock().unwrap(), 3, "a content in force is not tried again");
    }

    #[test]
    fn parts_that_are_divided_differently_have_another_digest() {
        let of = ContentDigest::of_parts;
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
    }
}
