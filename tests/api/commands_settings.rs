//! What the program says about its settings: their values, wrong ones, and variables that are
//! probably misspelt.

use crate::support::database::{Database, left_out};
use crate::support::eventually;
use crate::support::process::{Program, run};
use crate::support::scratch::{Scratch, write_secret};
use crate::support::serve_process::Deployment;

#[tokio::test]
async fn the_settings_are_printed_without_secrets_and_without_a_database() {
    let variables = [
        ("DATABASE_URL", "postgres://user:pass-word@db.example/name"),
        ("DRAIN_DELAY", "5s"),
        ("GRPC_ADDR", "0.0.0.0:50051"),
    ];
    let ended = run(["serve", "--print-config", "--grpc-addr", "127.0.0.1:0"], &variables).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.contains("pass-word"), "{ended:?}");
    let lines = ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let lines: Vec<_> = lines.collect();
    for expected in [
        &["DATABASE_URL", "variable", "(hidden)", "[\"db.example:5432\"]"][..],
        &["DRAIN_DELAY", "variable", "5s"],
        &["GRPC_ADDR", "flag", "127.0.0.1:0"],
        &["REST_ADDR", "default", "127.0.0.1:8080"],
        &["SEALING_KEY_FILE", "not", "set"],
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected:?}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn an_error_of_a_setting_is_one_sentence_with_its_variable_and_flag() {
    let url = "postgres://user:pass-word@h/d";
    let many = [("DATABASE_URL", url), ("DATABASE_URL_FILE", "/f")];
    for (arguments, variables, status, sentence) in [
        (
            &["serve"][..],
            &[("LOG", "verbose")][..],
            2,
            "LOG (--log): \"verbose\" is not a level or TARGET=LEVEL; the levels are error, warn, info \
             and off",
        ),
        (
            &["serve"],
            &[("DRAIN_TIMEOUT", "1d")],
            2,
            "DRAIN_TIMEOUT (--drain-timeout): \"1d\" is not between 0s and 5m",
        ),
        (&["serve"], &[], 1, "DATABASE_URL (--database-url) is not set"),
        (&["migrate"], &[], 1, "DATABASE_URL (--database-url) is not set"),
        (
            &["serve"],
            &many,
            1,
            "DATABASE_URL (--database-url) and DATABASE_URL_FILE (--database-url-file) are both set; \
             unset one of them",
        ),
        (
            &["migrate", "--db-admin-url-file", "/nowhere/url"],
            &[],
            1,
            "DB_ADMIN_URL_FILE (--db-admin-url-file): cannot read /nowhere/url: No such file or \
             directory (os error 2)",
        ),
    ] {
        let ended = run(arguments, variables).await;
        assert_eq!(ended.sentence(status), sentence, "{arguments:?} {variables:?}");
    }
}

#[tokio::test]
async fn a_misspelt_variable_and_a_short_grace_period_are_warned_about() {
    let nowhere = Database { url: "postgres:///none?host=/nowhere".to_owned() };
    let deployment = Deployment::new(&nowhere);
    let program = Program::spawn(deployment.serve(&[
        ("DRAIN_DELAYS", "5s"),
        ("TERMINATION_GRACE_PERIOD", "20s"),
        ("CDN_ACTIVATION_SERVICE_HOST", "10.0.0.1"),
    ]));
    let warnings = [
        "the variable DRAIN_DELAYS is not a setting; a similar one is DRAIN_DELAY",
        "the process may be killed while it stops: a stop takes up to 26s, which is DRAIN_DELAY, DRAIN_TIMEOUT and \
         1s, and TERMINATION_GRACE_PERIOD is 20s; make the first two shorter",
    ];
    let is_logged = |warning: &&str| program.stderr().contains(*warning);
    eventually("both warnings", async || warnings.iter().all(is_logged)).await;
    let ended = program.stop().await;
    assert_eq!(ended.stderr.matches("is not a setting").count(), 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_rotated_in_the_file_of_the_url_needs_no_restart() {
    if left_out("the roles of a server are changed") {
        return;
    }
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let url = |user: &str| database.as_role(user).url;
    let file = scratch.file("url", &format!("{}\n", url("postgres")));
    let deployment = Deployment::new(&database);
    let mut command = deployment.serve(&[("DATABASE_URL_FILE", &file)]);
    command.env_remove("DATABASE_URL");
    let mut program = Program::spawn(command);
    let api = program.ready().await;
    let key = api.account().await;
    let role = "DO $$ BEGIN
            CREATE ROLE rotated LOGIN SUPERUSER;
        EXCEPTION WHEN duplicate_object THEN NULL; END $$";
    database.execute(role).await;

    let path = std::path::Path::new(&file);
    write_secret(path, "postgres://other.example/name\n");
    let refused = "names other hosts, another database or other options than at the start";
    eventually("another database is refused", async || program.stdout().contains(refused)).await;
    write_secret(path, &format!("{}\n", url("rotated")));
    let applied = "\"file\":\"database_url\"";
    eventually("the new user is in force", async || {
        let log = program.stdout();
        log.lines().any(|line| line.contains(applied) && line.contains("is in force"))
    })
    .await;
    // The service loses its connections, and opens others.
    let sessions = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'rotated' AND application_name = 'cdn-activation'";
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'postgres' AND application_name LIKE 'cdn-activation%'";
    database.execute(end).await;
    eventually("it has new sessions", async || {
        api.get(&key, "Action=DescribeUserCdnStatus").await;
        database.count(sessions).await > 0
    })
    .await;
    api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    assert_eq!(program.stop().await.code, Some(0));
}
