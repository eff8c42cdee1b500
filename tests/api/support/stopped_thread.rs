//! Stops one thread of a program, as a call that blocks would. A debugger can do that: here it is a
//! few lines of Python.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Stops the thread with this name, says so, and waits. If the tracer ends, the thread goes on.
const STOP: &str = r#"
import ctypes, os, sys
process, name = sys.argv[1:]
tasks = f"/proc/{process}/task"
named = [task for task in os.listdir(tasks) if open(f"{tasks}/{task}/comm").read().strip() == name]
thread = int(named[0])
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, INTERRUPT, ANY = 0x4206, 0x4207, 0x40000000
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, thread, None, None) != 0:
        print(f"refused: {os.strerror(ctypes.get_errno())}", flush=True)
        sys.exit()
os.waitpid(thread, ANY)
print("stopped", flush=True)
os.waitpid(thread, ANY)  # the process ends
"#;

/// A thread that is stopped until this is dropped.
pub struct StoppedThread(Child);

impl StoppedThread {
    /// Stops a thread of a process. Returns `None` if only root may do that, and this is not root.
    pub fn stop(process: u32, name: &str) -> Option<Self> {
        let mut python = Command::new("python3");
        python.args(["-c", STOP, &process.to_string(), name]).stdin(Stdio::null());
        let mut child = python.stdout(Stdio::piped()).spawn().expect("Python is there");
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut said).expect("a line");
        let stopped = Self(child);
        if said.trim_end() == "stopped" {
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            return Some(stopped);
        }
        assert!(said.contains("Operation not permitted"), "{said}");
        let id = Command::new("id").arg("-u").output().expect("it is everywhere");
        assert_ne!(id.stdout.trim_ascii(), b"0", "root may stop a thread");
        None
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
