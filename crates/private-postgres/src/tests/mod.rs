//! Tests of the promises of this crate with real servers. All of them run as root and as an
//! ordinary user, in parallel, and need the binaries that a server needs.

mod killed;
mod support;

use super::choose_data_dir;
use super::{DataDir, Durability, PrivatePostgres, StartError};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};
use support::{Scratch, ask, eventually, kill, server_pid};

#[test]
fn a_throwaway_server_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let options = scratch.options("it's 100% \"ödd\" & +", Durability::Throwaway);
    let server = PrivatePostgres::start(&options).unwrap();
    let settings = "SELECT current_setting('fsync') || current_setting('listen_addresses') \
        || current_setting('max_connections') || current_setting('TimeZone') \
        || current_setting('server_encoding') || current_user";
    assert_eq!(ask(&server, settings), "off200UTCUTF8postgres");
    assert_eq!(server.data_dir(), options.data_dir);
    assert_eq!(fs::metadata(server.data_dir()).unwrap().mode() & 0o777, 0o700);
    // A child of this process that lives longer must not hold the lifeline: stopping would wait for
    // it.
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let begin = Instant::now();
    server.stop();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!options.data_dir.exists());
    eventually("no process is left", || scratch.processes().is_empty());
}

#[test]
fn a_throwaway_server_does_not_use_an_existing_directory() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("kept"), "").unwrap();
    let options = scratch.options("", Durability::Throwaway);
    let error = PrivatePostgres::start(&options).unwrap_err();
    assert!(matches!(error, StartError::NotNew { .. }), "{error}");
    assert!(scratch.0.join("kept").exists());
}

#[test]
fn data_survives_a_restart_and_a_killed_server() {
    let scratch = Scratch::new();
    let options = scratch.options("deep/data", Durability::Durable);
    let server = PrivatePostgres::start(&options).unwrap();
    let cluster = server.data_dir().join("postgres");
    let socket_mode = fs::metadata(server.data_dir().join("socket")).unwrap().mode();
    assert_eq!(socket_mode & 0o777, 0o700);
    assert_eq!(ask(&server, "SHOW fsync"), "on");
    ask(&server, "CREATE TABLE kept AS SELECT 7 AS number");
    fs::write(server.data_dir().join("key"), "secret").unwrap();

    // A second server is refused, and the sentence names the first one.
    let error = PrivatePostgres::start_patiently(&options, Duration::ZERO).unwrap_err();
    let pid = server_pid(&options.data_dir).unwrap();
    assert!(error.to_string().contains(&format!("(process {pid})")), "{error}");

    // A clean stop is what PostgreSQL calls "shut down", not recovery at the next start.
    server.stop();
    assert!(!cluster.join("postmaster.pid").exists());
    let server = PrivatePostgres::start(&options).unwrap();
    let log = fs::read_to_string(options.data_dir.join("postgres.log")).unwrap();
    assert!(log.contains("database system was shut down at"), "{log}");

    // The server dies alone: its watchdog ends too, although the lifeline is still open.
    kill(server_pid(&options.data_dir).unwrap());
    eventually("no process is left", || scratch.processes().is_empty());
    assert!(cluster.join("postmaster.pid").exists());
    let server_again = PrivatePostgres::start(&options).unwrap();
    assert_eq!(ask(&server_again, "SELECT number FROM kept"), "7");
    server_again.stop();
    server.stop();
    assert!(options.data_dir.join("key").exists());
}

#[test]
fn one_of_two_concurrent_starts_in_one_directory_is_refused() {
    let scratch = Scratch::new();
    let options = scratch.options("data", Durability::Durable);
    let start = || PrivatePostgres::start_patiently(&options, Duration::ZERO);
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(start);
        (start(), first.join().unwrap())
    });
    let (server, error) = match (first, second) {
        (Ok(server), Err(error)) | (Err(error), Ok(server)) => (server, error),
        both => panic!("{both:?}"),
    };
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    assert_eq!(ask(&server, "SELECT 1"), "1");
}

#[test]
fn a_dead_servers_pid_file_is_removed_even_when_its_number_is_in_use() {
    let scratch = Scratch::new();
    let options = scratch.options("data", Durability::Durable);
    PrivatePostgres::start(&options).unwrap().stop();
    let (pid, cluster) = (process::id(), options.data_dir.join("postgres"));
    let contents = format!("{pid}\n{}\n1\n5432\n\n\n\nready   \n", cluster.display());
    fs::write(cluster.join("postmaster.pid"), contents).unwrap();
    fs::write(options.data_dir.join("socket/.s.PGSQL.5432.lock"), format!("{pid}\n")).unwrap();
    let server = PrivatePostgres::start(&options).unwrap();
    assert_ne!(server_pid(&options.data_dir), Some(pid));
    assert_eq!(ask(&server, "SELECT 1"), "1");
}

#[test]
fn an_interrupted_initdb_does_not_block_the_next_start() {
    let scratch = Scratch::new();
    let options = scratch.options("data", Durability::Durable);
    let unfinished = options.data_dir.join("postgres.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "1").unwrap();
    let server = PrivatePostgres::start(&options).unwrap();
    assert_eq!(ask(&server, "SELECT 1"), "1");
    assert!(!unfinished.exists());
}

#[test]
fn a_server_whose_path_cannot_hold_a_socket_gets_one_elsewhere() {
    let scratch = Scratch::new();
    for name in ["long".repeat(30), "a,b".to_owned()] {
        let options = scratch.options(&name, Durability::Throwaway);
        let server = PrivatePostgres::start(&options).unwrap();
        let socket_dir = PathBuf::from(ask(&server, "SHOW unix_socket_directories"));
        assert!(!socket_dir.starts_with(&scratch.0), "{}", socket_dir.display());
        assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
        server.stop();
        assert!(!socket_dir.exists() && !options.data_dir.exists());
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let scratch = Scratch::new();
    let options = scratch.options("data", Durability::Durable);
    PrivatePostgres::start(&options).unwrap().stop();
    fs::write(options.data_dir.join("postgres/postgresql.conf"), "nonsense = 1\n").unwrap();
    let error = PrivatePostgres::start(&options).unwrap_err().to_string();
    assert!(error.contains("nonsense"), "{error}");
    eventually("no process is left", || scratch.processes().is_empty());
}

#[test]
fn the_error_for_unusable_binaries_or_data_is_one_sentence() {
    let scratch = Scratch::new();
    let mut options = scratch.options("data", Durability::Throwaway);
    options.pg_bin = Some(scratch.0.clone());
    let error = PrivatePostgres::start(&options).unwrap_err();
    assert!(error.to_string().starts_with("PG_BIN names"), "{error}");
    assert!(!options.data_dir.exists(), "a failed start leaves nothing behind");

    let options = scratch.options("other", Durability::Durable);
    let cluster = options.data_dir.join("postgres");
    fs::create_dir_all(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "9\n").unwrap();
    if scratch.is_roots() {
        let error = PrivatePostgres::start(&options).unwrap_err();
        assert!(error.to_string().contains("belongs to root"), "{error}");
        chown(&cluster, Some(65534), None).unwrap();
    }
    let error = PrivatePostgres::start(&options).unwrap_err();
    assert!(error.to_string().contains("was made by PostgreSQL 9"), "{error}");
    fs::rename(cluster.join("PG_VERSION"), cluster.join("letter")).unwrap();
    let error = PrivatePostgres::start(&options).unwrap_err();
    assert!(matches!(error, StartError::NotACluster { .. }), "{error}");
    assert!(cluster.join("letter").exists());
}

#[test]
fn a_directory_that_the_servers_user_cannot_reach_is_refused_or_replaced() {
    let scratch = Scratch::new();
    let (closed, open) = (scratch.0.join("closed"), scratch.0.join("open/dev"));
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let inside = closed.join("data");
    if scratch.is_roots() {
        for durability in [Durability::Durable, Durability::Throwaway] {
            let options = scratch.options("closed/data", durability);
            let error = PrivatePostgres::start(&options).unwrap_err().to_string();
            assert!(error.contains(&format!("cannot enter {}:", closed.display())), "{error}");
            assert!(!inside.exists());
        }
        let chosen = choose_data_dir(&inside, &open).unwrap();
        assert_eq!(chosen, DataDir { path: open.clone(), fell_back: true });
        assert!(open.is_dir() && !inside.exists());
        fs::set_permissions(&closed, Permissions::from_mode(0o711)).unwrap();
    }
    let chosen = choose_data_dir(&inside, &open).unwrap();
    assert_eq!(chosen, DataDir { path: inside.clone(), fell_back: false });
    assert!(inside.is_dir());
}

#[test]
fn roots_server_runs_as_an_unprivileged_user_without_roots_groups() {
    let scratch = Scratch::new();
    if !scratch.is_roots() {
        return; // nothing to give up
    }
    let options = scratch.options("data", Durability::Durable);
    let server = PrivatePostgres::start(&options).unwrap();
    let pid = server_pid(&options.data_dir).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let owner = fs::metadata(options.data_dir.join("postgres")).unwrap().uid().to_string();
    assert_ne!(owner, "0");
    assert_eq!(field("Uid:"), vec![owner; 4]);
    assert!(!field("Gid:").contains(&"0".to_owned()), "{status}");
    assert!(field("Groups:").is_empty(), "{status}");
    assert_eq!(fs::metadata(server.data_dir()).unwrap().uid(), 0);
}
