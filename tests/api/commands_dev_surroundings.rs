//! `cdn-activation dev` in unusual environments: under a strict umask, in a shell with variables
//! for another PostgreSQL, as a user without a name, and when its PostgreSQL is killed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::commands_dev::demo_key;
use crate::support::database::left_out;
use crate::support::eventually;
use crate::support::process::{Program, command, command_through, dev_on};
use crate::support::scratch::Scratch;

/// The variables of libpq and of the server, each with a value that would break `dev`.
const HOSTILE: [(&str, &str); 21] = [
    ("PGHOST", "/nowhere"),
    ("PGHOSTADDR", "192.0.2.1"),
    ("PGPORT", "1"),
    ("PGUSER", "nobody-of-ours"),
    ("PGPASSWORD", "hush"),
    ("PGPASSFILE", "/nowhere/passwords"),
    ("PGDATABASE", "another"),
    ("PGSERVICE", "another"),
    ("PGSERVICEFILE", "/nowhere/services"),
    ("PGSSLMODE", "verify-full"),
    ("PGSSLROOTCERT", "/nowhere/root.crt"),
    ("PGSSLCERT", "/nowhere/client.crt"),
    ("PGSSLKEY", "/nowhere/client.key"),
    ("PGAPPNAME", "another"),
    ("PGOPTIONS", "-c search_path=nowhere -c no.such=1 -c default_transaction_read_only=on"),
    ("PGDATA", "/nowhere/data"),
    ("PGDATESTYLE", "nonsense"),
    ("PGTZ", "nonsense"),
    ("PGCLIENTENCODING", "SQL_ASCII"),
    ("PGCONNECT_TIMEOUT", "nonsense"),
    ("PGTARGETSESSIONATTRS", "standby"),
];

/// The id of a user that has no name on this machine.
const NAMELESS: &str = "54321";

fn is_root(scratch: &Scratch) -> bool {
    fs::metadata(&scratch.0).expect("the test owns it").uid() == 0
}

fn under_umask(umask: &str, data_dir: &str) -> Command {
    let script = format!("umask {umask} && exec \"$0\" \"$@\"");
    command_through(["sh", "-c", &script], dev_on(data_dir))
}

/// Waits until the program is ready, opens a product, and stops the program.
async fn assert_works(mut program: Program, scratch: &Scratch) {
    let api = program.ready().await;
    api.get(&demo_key("testid"), "Action=OpenCdnService").await.succeeded();
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    eventually("no process is left", async || scratch.processes().is_empty()).await;
}

#[tokio::test]
async fn postgresql_can_use_a_new_directory_under_a_strict_umask() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    for umask in ["077", "027"] {
        let directory = scratch.0.join(umask).join("deep/state");
        let directory = directory.to_str().expect("UTF-8");
        assert_works(Program::spawn(under_umask(umask, directory)), &scratch).await;
    }
}

#[tokio::test]
async fn a_strict_umask_of_an_ordinary_user_is_kept() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("home/state");
    let program = if is_root(&scratch) {
        let home = scratch.0.join("home");
        fs::create_dir(&home).expect("the test owns it");
        chown(&home, Some(65534), Some(65534)).expect("as root");
        as_user(&scratch, "65534", &directory)
    } else {
        under_umask("077", directory.to_str().expect("UTF-8"))
    };
    assert_works(Program::spawn(program), &scratch).await;
    let mode = fs::metadata(&directory).expect("it was created").mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}

/// Returns the command for `dev` as the user with this id, under a umask of 077. The command runs a
/// copy of the program, because the built one may be in a directory that other users cannot enter.
fn as_user(scratch: &Scratch, uid: &str, directory: &Path) -> Command {
    let copy = scratch.0.join("cdn-activation");
    if !copy.exists() {
        fs::copy(crate::support::process::PROGRAM, &copy).expect("it was built");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the test owns it");
    }
    let copy = copy.to_str().expect("UTF-8").to_owned();
    let script = format!("umask 077 && cd / && shift && exec {copy} \"$@\"");
    let user = [format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()];
    let [user_flag, group_flag, groups] = &user;
    let through = ["setpriv", user_flag, group_flag, groups, "sh", "-c", &script, "sh"];
    command_through(through, dev_on(directory.to_str().expect("UTF-8")))
}

#[tokio::test]
async fn variables_of_the_shell_do_not_reach_postgresql() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("state").display().to_string();
    let program = Program::spawn(command(dev_on(&directory), &HOSTILE));
    assert_works(program, &scratch).await;
    let program = Program::spawn(command(dev_on(&directory), &HOSTILE));
    eventually("PostgreSQL runs", async || server_of(&directory).is_some()).await;
    let server = server_of(&directory).expect("it runs");
    let variables = fs::read(format!("/proc/{server}/environ")).expect("its variables");
    let variables = String::from_utf8_lossy(&variables).into_owned();
    for (name, _) in HOSTILE {
        // Only these names are compared, because the server sets other variables itself.
        let reached = variables.split('\0').find(|variable| {
            variable.strip_prefix(name).is_some_and(|value| value.starts_with('='))
        });
        assert_eq!(reached, None);
    }
    program.stop().await;
}

/// Returns the id of the server's process if it accepts connections.
fn server_of(directory: &str) -> Option<String> {
    let state = fs::read_to_string(format!("{directory}/postgres/postmaster.pid")).ok()?;
    state.contains("ready").then(|| state.lines().next().expect("a process id").to_owned())
}

#[tokio::test]
async fn dev_ends_with_a_sentence_when_its_postgresql_is_killed_and_starts_again_with_all_data() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("state").display().to_string();
    let (program, api) = Program::dev(&directory, &[]).await;
    api.get(&demo_key("testid"), "Action=OpenCdnService").await.succeeded();
    let server = server_of(&directory).expect("it runs");
    let killed = Command::new("kill").args(["-KILL", &server]).status().expect("kill");
    assert!(killed.success());
    let ended = program.end().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let sentence = format!(
        "cdn-activation: the PostgreSQL of {directory} has ended by itself or was killed; what was \
         committed is kept: start this again ({directory}/postgres.log may say why)"
    );
    assert_eq!(ended.stderr.lines().last(), Some(sentence.as_str()), "{ended:?}");
    eventually("no process is left", async || scratch.processes().is_empty()).await;

    let (program, api) = Program::dev(&directory, &[]).await;
    let again = api.get(&demo_key("testid"), "Action=OpenCdnService").await;
    again.refused_by_dev(&api, 400, "CdnService.HasOpened", "Your cdn service has opened.");
    assert_eq!(program.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_user_without_a_name_gets_one_sentence_and_can_use_existing_data() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    if !is_root(&scratch) {
        return; // only root can become another user
    }
    let (home, uid) = (scratch.0.join("home"), NAMELESS.parse().expect("a number"));
    fs::create_dir(&home).expect("the test owns it");
    chown(&home, Some(uid), Some(uid)).expect("as root");
    let ended = Program::spawn(as_user(&scratch, NAMELESS, &home.join("new"))).end().await;
    let sentence = "the user 54321 has no name on this machine, and PostgreSQL makes its data for \
        users with one only: add a line for 54321 to /etc/passwd, or start this as a user that has a \
        name";
    assert_eq!(ended.sentence(1), sentence);

    let existing = home.join("made");
    let (program, _) = Program::dev(existing.to_str().expect("UTF-8"), &[]).await;
    program.stop().await;
    let owner = format!("{NAMELESS}:{NAMELESS}");
    let changed =
        Command::new("chown").args(["-R", &owner]).arg(&existing).status().expect("chown");
    assert!(changed.success());
    assert_works(Program::spawn(as_user(&scratch, NAMELESS, &existing)), &scratch).await;
}
