//! The thread that writes to standard output and standard error, and the queue before it. A thread
//! that has a line hands it over and goes on: an output that nobody reads, or a full disk, costs lines
//! and nothing else.
//!
//! Not `tracing-appender`: its guard says with `println!` that the queue is full when the process
//! ends, which blocks or panics just where the output does; and it brings a date library and seven
//! more crates for this channel and this loop.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait; more are dropped. With the longest line that is 16 MiB.
const MOST_WAITING: usize = 2048;

/// Where a line goes.
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
/// Lines that are handed over and neither written nor dropped.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts the thread. It calls `tick` between two lines, or without any, so often.
pub(super) fn start(interval: Duration, tick: fn()) -> io::Result<()> {
    // Descriptors of its own: while it is blocked it holds none of the locks of std's outputs.
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

/// Hands a line over; it is dropped where the queue is full. False where there is no queue.
pub(super) fn push(output: Output, text: &[u8]) -> bool {
    let Some(queue) = QUEUE.get() else { return false };
    WAITING.fetch_add(1, Ordering::Relaxed);
    if queue.try_send(Line { output, text: text.into() }).is_err() {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    true
}

/// Lines that were dropped since the start: the queue was full, or they could not be written.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until everything is written, so long at the most.
pub(super) fn wait_until_written(longest: Duration) {
    let until = Instant::now() + longest;
    while WAITING.load(Ordering::Acquire) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An output, line by line.
struct Lines<W> {
    output: W,
    /// The last line was written in part.
    is_cut_off: bool,
}

impl<W: Write> Lines<W> {
    fn new(output: W) -> Self {
        Self { output, is_cut_off: false }
    }

    /// Writes a line. One that a full disk has cut off is ended before the next, so that only the one is
    /// unreadable.
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

    /// A disk with room for so many bytes.
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
    fn a_line_that_is_not_begun_leaves_nothing() {
        let mut lines = Lines::new(Disk { room: 4, written: Vec::new() });
        lines.write(b"one\n").unwrap();
        lines.write(b"two\n").unwrap_err();
        lines.output.room = 100;
        lines.write(b"three\n").unwrap();
        assert_eq!(lines.output.written, b"one\nthree\n");
    }
}
