//! The thread that writes to standard output and standard error, and its queue. A thread that logs
//! a line puts it into the queue and continues. If an output is not read or a disk is full, lines
//! are lost, but nothing waits.
//!
//! `tracing-appender` is not used: if the queue is full when the process ends, its guard reports
//! this with `println!`, which blocks or panics exactly when the output does. It also adds a date
//! library and seven more crates for one channel and one loop.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Largest number of waiting lines; further lines are dropped. With lines of the largest length,
/// this is 16 MiB.
const MOST_WAITING: usize = 2048;

/// The output of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

struct Line {
    output: Output,
    text: Box<[u8]>,
}

static QUEUE: OnceLock<SyncSender<Line>> = OnceLock::new();
/// Number of lines that were queued and neither written nor dropped.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts the thread. It calls `tick` at this interval, between two lines or while there are none.
pub(super) fn start(interval: Duration, tick: fn()) -> io::Result<()> {
    // The thread has descriptors of its own, so that it holds no lock of std's outputs while it is
    // blocked.
    let mut stdout = Lines::new(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let mut stderr = Lines::new(File::from(io::stderr().as_fd().try_clone_to_owned()?));
    let (sender, queue) = sync_channel::<Line>(MOST_WAITING);
    let write = move |line: &Line| match line.output {
        Output::Stdout => stdout.write(&line.text),
        Output::Stderr => stderr.write(&line.text),
    };
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || run(&queue, write, interval, tick))?;
    QUEUE.set(sender).map_err(|_| io::Error::other("logging runs already"))
}

fn run(
    queue: &Receiver<Line>,
    mut write: impl FnMut(&Line) -> io::Result<()>,
    interval: Duration,
    tick: fn(),
) {
    let mut next_tick = Instant::now() + interval;
    loop {
        match queue.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if write(&line).is_err() {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                }
                WAITING.fetch_sub(1, Ordering::Release);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if Instant::now() >= next_tick {
            tick();
            next_tick = Instant::now() + interval;
        }
    }
}

/// Queues a line, or drops it if the queue is full. Returns false if there is no queue.
pub(super) fn push(output: Output, text: &[u8]) -> bool {
    let Some(queue) = QUEUE.get() else { return false };
    WAITING.fetch_add(1, Ordering::Relaxed);
    if queue.try_send(Line { output, text: text.into() }).is_err() {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    true
}

/// Returns the number of lines that were dropped because the queue was full or writing failed.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Returns the number of lines that were queued and neither written nor dropped.
pub(super) fn waiting() -> usize {
    WAITING.load(Ordering::Relaxed)
}

/// Waits until all lines are written, but not longer than this.
pub(super) fn wait_until_written(longest: Duration) {
    let until = Instant::now() + longest;
    while WAITING.load(Ordering::Acquire) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An output that is written line by line.
struct Lines<W> {
    output: W,
    /// Whether the last line was written in part.
    is_cut_off: bool,
}

impl<W: Write> Lines<W> {
    fn new(output: W) -> Self {
        Self { output, is_cut_off: false }
    }

    /// Writes a line. If a full disk cut off the line before, that line is ended first, so that
    /// only it is unreadable.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_cut_off {
            self.output.write_all(b"\n")?;
            self.is_cut_off = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_cut_off = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for a number of bytes.
    struct Disk {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(self.room);
            self.written.extend(&bytes[..count]);
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_one_that_was_cut_off_is_a_line_of_its_own() {
        let mut lines = Lines::new(Disk { room: 6, written: Vec::new() });
        lines.write(b"one\n").unwrap();
        for _ in 0..2 {
            lines.write(b"two\n").unwrap_err();
        }
        lines.output.room = 100;
        lines.write(b"three\n").unwrap();
        lines.write(b"four\n").unwrap();
        assert_eq!(lines.output.written, b"one\ntw\nthree\nfour\n");
    }

    #[test]
    fn a_line_of_which_nothing_was_written_leaves_nothing() {
        let mut lines = Lines::new(Disk { room: 4, written: Vec::new() });
        lines.write(b"one\n").unwrap();
        lines.write(b"two\n").unwrap_err();
        lines.output.room = 100;
        lines.write(b"three\n").unwrap();
        assert_eq!(lines.output.written, b"one\nthree\n");
    }
}
