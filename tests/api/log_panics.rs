//! A panic is written as a log line, and does not wait for the output. The panics happen in a
//! separate process: this test binary, started with a test that is otherwise ignored.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cdn_activation::logging::{self, Form, Output};

use crate::support::eventually;

/// Starts this binary with one of the ignored tests below.
fn start(test: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", &format!("log_panics::{test}"), "--ignored"]);
    command.env_remove("RUST_BACKTRACE"); // a backtrace would add lines
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

fn panic_in_a_thread() {
    std::thread::spawn(|| panic!("a text of this panic")).join().expect_err("it panics");
}

#[tokio::test]
async fn a_panic_is_a_log_line_with_its_text_and_its_location() {
    let ended = start("panics").wait_with_output().expect("ended");
    let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(ended.status.success(), "{stderr}");
    let lines: Vec<_> = stderr.lines().filter(|line| line.contains("panic")).collect();
    let [line] = lines[..] else { panic!("not one line: {stderr}") };
    for part in ["ERROR", "panicked", "a text of this panic", "log_panics.rs:"] {
        assert!(line.contains(part), "no {part}: {line}");
    }
}

#[tokio::test]
async fn a_panic_does_not_wait_for_an_output_that_is_not_read() {
    let mut child = start("panics_unread");
    let unread = child.stderr.take();
    eventually("the process ends", async || child.try_wait().expect("a child").is_some()).await;
    assert!(child.wait().expect("ended").success());
    drop(unread);
}

#[test]
#[ignore = "another test runs it in a separate process"]
fn panics() {
    let logging = logging::start("info", Form::Text).expect("it starts");
    panic_in_a_thread();
    drop(logging);
}

#[test]
#[ignore = "another test runs it in a separate process"]
fn panics_unread() {
    let logging = logging::start("info", Form::Text).expect("it starts");
    for _ in 0..16 {
        logging::say(Output::Stderr, &"more than a pipe holds\n".repeat(10_000));
    }
    std::thread::sleep(Duration::from_millis(100)); // the pipe is full
    panic_in_a_thread();
    drop(logging);
}
