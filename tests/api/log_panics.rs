//! A panic is a log line: it waits for no output. The panics are in a process of their own, which is
//! this test binary once more, with a test that is ignored otherwise.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cdn_activation::logging::{self, Form, Output};

use crate::support::eventually;

/// Starts this binary with one of the tests below.
fn start(test: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    command.args(["--exact", &format!("log_panics::{test}"), "--ignored"]);
    command.env_remove("RUST_BACKTRACE"); // a trace has lines of its own
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("it was built")
}

fn panic_in_a_thread() {
    std::thread::spawn(|| panic!("a text of this panic")).join().expect_err("it panics");
}

#[tokio::test]
async fn a_panic_is_a_log_line_with_its_text_and_its_place() {
    let ended = start("panics").wait_with_output().expect("it is ours");
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(ended.status.success(), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.contains("panic")).collect();
    let [line] = lines[..] else { panic!("not one line: {said}") };
    for part in ["ERROR", "panicked", "a text of this panic", "log_panics.rs:"] {
        assert!(line.contains(part), "no {part}: {line}");
    }
}

#[tokio::test]
async fn a_panic_does_not_wait_for_an_output_that_nobody_reads() {
    let mut child = start("panics_unread");
    let unread = child.stderr.take();
    eventually("it has ended", async || child.try_wait().expect("it is ours").is_some()).await;
    assert!(child.wait().expect("it is ours").success());
    drop(unread);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn panics() {
    let logging = logging::start("info", Form::Text).expect("it starts");
    panic_in_a_thread();
    drop(logging);
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn panics_unread() {
    let logging = logging::start("info", Form::Text).expect("it starts");
    for _ in 0..16 {
        logging::say(Output::Stderr, &"more than a pipe holds\n".repeat(10_000));
    }
    std::thread::sleep(Duration::from_millis(100)); // the pipe is full
    panic_in_a_thread();
    drop(logging);
}
