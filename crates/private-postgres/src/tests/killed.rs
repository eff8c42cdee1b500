//! Tests of owners that are killed. The owner is this test binary, started again.

use super::super::{Durability, Options, PrivatePostgres};
use super::support::{Scratch, ask, eventually, pg_bin, server_pid};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::{env, fs};

/// The file that asks for an owner in its directory. It contains the durability.
const OWNER: &str = "owner";

/// Not a test, but the process that the next tests kill. It does nothing elsewhere.
#[test]
#[ignore = "started by the tests that kill it"]
fn owner_that_is_killed() {
    let here = env::current_dir().unwrap();
    let Ok(durability) = fs::read_to_string(here.join(OWNER)) else {
        return;
    };
    let durability = match durability.as_str() {
        "Durable" => Durability::Durable,
        _ => Durability::Throwaway,
    };
    let options = Options { data_dir: here.join("data"), durability, pg_bin: pg_bin() };
    let server = PrivatePostgres::start(&options).unwrap();
    fs::write(here.join("ready"), server.url("postgres")).unwrap();
    let _ = std::io::stdin().read(&mut [0]); // returns when the killer has ended, too
}

/// Runs the test above in a process of its own.
fn owner(scratch: &Scratch, durability: Durability) -> Child {
    fs::write(scratch.0.join(OWNER), format!("{durability:?}")).unwrap();
    let module = module_path!().split_once("::").unwrap().1;
    let mut owner = Command::new(env::current_exe().unwrap());
    owner.args(["--ignored", "--exact", &format!("{module}::owner_that_is_killed")]);
    owner.current_dir(&scratch.0).stdin(Stdio::piped());
    owner.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_killed_owner_leaves_no_server_and_its_directory_can_be_used_at_once() {
    for sign in ["data/postgres.new/global", "ready"] {
        let scratch = Scratch::new();
        let mut owner = owner(&scratch, Durability::Durable);
        eventually(sign, || scratch.0.join(sign).exists());
        let predecessor = server_pid(&scratch.0.join("data"));
        owner.kill().unwrap();
        owner.wait().unwrap();
        let options = scratch.options("data", Durability::Durable);
        let server = PrivatePostgres::start(&options).unwrap();
        assert_eq!(ask(&server, "SELECT 1"), "1");
        let log = fs::read_to_string(options.data_dir.join("postgres.log")).unwrap();
        assert!(log.contains("database system was shut down at"), "killed at {sign}: {log}");
        assert_ne!(predecessor, server_pid(&options.data_dir));
        server.stop();
        eventually("no process is left", || scratch.processes().is_empty());
    }
}

#[test]
fn an_owner_killed_at_any_time_leaves_nothing_of_a_throwaway_server() {
    for sign in ["data/postgres.new", "data/postgres.new/global", "data/postgres", "ready"] {
        let scratch = Scratch::new();
        let mut owner = owner(&scratch, Durability::Throwaway);
        eventually(sign, || scratch.0.join(sign).exists());
        owner.kill().unwrap();
        owner.wait().unwrap();
        eventually("no process is left", || scratch.processes().is_empty());
        assert!(!scratch.0.join("data").exists(), "killed at {sign}");
    }
}
