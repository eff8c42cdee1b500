//! `cdn-activation migrate` and `serve` as a deployment runs them, with settings from the
//! environment.

use std::process::Command;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::config::named;
use serde_json::Value;
use tonic::Code;

use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::process::{ANY_PORTS, Ended, Program, command_through, run};
use crate::support::scratch::Scratch;
use crate::support::{Api, callers, eventually};

/// The files that a deployment mounts.
struct Files {
    scratch: Scratch,
    sealing_key: String,
    callers: [(&'static str, String); 2],
}

impl Files {
    fn new() -> Self {
        let scratch = Scratch::new();
        let key = SealingKey::generate().expect("random bytes");
        let sealing_key = scratch.file("sealing-key", &format!("{}\n", key.as_str()));
        let callers = callers::files(&scratch.0);
        Self { scratch, sealing_key, callers }
    }

    /// Returns the environment of `serve`.
    fn variables<'a>(&'a self, database: &'a Database) -> Vec<(&'a str, &'a str)> {
        let [tokens, grants] = &self.callers;
        vec![
            ("DATABASE_URL", &database.url),
            ("SEALING_KEY_FILE", &self.sealing_key),
            (tokens.0, &tokens.1),
            (grants.0, &grants.1),
            ("GRPC_ADDR", "127.0.0.1:0"),
            ("REST_ADDR", "127.0.0.1:0"),
            ("OPS_ADDR", "127.0.0.1:0"),
        ]
    }

    fn serve(&self, database: &Database) -> Program {
        Program::start(["serve"], &self.variables(database))
    }
}

async fn migrate(database: &Database) -> Ended {
    run(["migrate"], &[("DATABASE_URL", &database.url)]).await
}

/// Returns the JSON lines after the ready line.
fn log_lines(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

#[tokio::test]
async fn a_deployment_migrates_and_serves() {
    let (database, files) = (Database::empty().await, Files::new());
    for _ in 0..2 {
        let migrated = migrate(&database).await;
        assert_eq!((migrated.code, migrated.stdout.as_str()), (Some(0), ""), "{migrated:?}");
        assert!(migrated.stderr.trim_end().ends_with("the schema is up to date"), "{migrated:?}");
    }
    let mut program = files.serve(&database);
    let api = program.ready().await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    api.post_v3(&key, "OpenCdnService", "2018-05-10", "").await.refused(
        400,
        "CdnService.HasOpened",
        "Your cdn service has opened.",
    );
    assert_eq!(api.page("/readyz").await.status, 200);
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "only the line of the start: {ended:?}");
    let lines = log_lines(&ended.stdout);
    let line_of = |action: &str| {
        let line = lines.iter().rfind(|line| line["action"] == action);
        line.unwrap_or_else(|| panic!("no line of {action}: {lines:?}"))
    };
    let refused = line_of("OpenCdnService");
    let fields = ["level", "wire", "code", "message"].map(|name| refused[name].as_str());
    assert_eq!(fields, ["INFO", "rest", "CdnService.HasOpened", "refused"].map(Some));
    assert_eq!(refused["account_id"], key.account_id);
    assert_eq!(refused["request_id"].as_str().map(str::len), Some(36));
    let created = line_of("CreateAccount");
    assert_eq!([&created["wire"], &created["code"]], ["grpc", "OK"]);
}

#[tokio::test]
async fn serve_waits_for_the_schema_and_logs_it_once() {
    let (database, files) = (Database::empty().await, Files::new());
    let mut program = files.serve(&database);
    eventually("the reason is logged", async || program.stderr().contains("run migrate")).await;
    assert_eq!(program.stdout(), "", "it is not ready");
    assert_eq!(migrate(&database).await.code, Some(0));
    let api = program.ready().await;
    assert_eq!(api.page("/readyz").await.status, 200);
    let ended = program.stop().await;
    let lines: Vec<Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let waiting = lines
        .iter()
        .filter(|line| line["message"] == "not ready: the database has no schema yet: run migrate");
    assert_eq!(waiting.count(), 1, "{lines:?}");
}

#[tokio::test]
async fn serve_can_be_stopped_before_it_is_ready() {
    let (database, files) = (Database::empty().await, Files::new());
    let program = files.serve(&database);
    eventually("the reason is logged", async || program.stderr().contains("run migrate")).await;
    let ended = program.stop().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn without_a_token_file_serve_refuses_every_grpc_call_and_logs_a_warning() {
    let (database, files) = (Database::fresh().await, Files::new());
    let mut variables = files.variables(&database);
    variables.retain(|(name, _)| *name != "SERVICE_TOKEN_FILE");
    let mut program = Program::start(["serve"], &variables);
    let api = program.ready().await;
    let request = cdn_activation::proto::operator::v1::GetAccountRequest { account_id: 1 };
    let status = api.accounts().await.get_account(request).await.expect_err("refused");
    let refused = refusal(&status);
    assert_eq!(
        (refused.grpc, refused.code.as_str()),
        (Code::Unauthenticated, "ServiceUnauthenticated")
    );
    let ended = program.stop().await;
    let warning = "SERVICE_TOKEN_FILE is not set: no token of a calling service is valid";
    assert!(ended.stderr.contains(warning), "{ended:?}");
}

#[tokio::test]
async fn with_another_sealing_key_serve_is_never_ready_and_logs_the_reason_once() {
    let (database, files, others) = (Database::fresh().await, Files::new(), Files::new());
    let mut program = files.serve(&database);
    let key = program.ready().await.account().await;
    assert_eq!(program.stop().await.code, Some(0));
    let mut program = others.serve(&database);
    let reason =
        "not ready: SEALING_KEY_FILE lacks a sealing key with which this database was used";
    eventually("the reason is logged", async || program.stderr().contains(reason)).await;
    assert!(program.runs() && program.stdout().is_empty(), "{}", program.stdout());
    let ended = program.stop().await;
    assert_eq!(ended.stderr.matches(reason).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains(&key.secret));
}

#[tokio::test]
async fn a_setting_that_serve_cannot_start_with_is_reported_in_one_sentence() {
    let (database, files) =
        (Database { url: "postgres:///none?host=/nowhere".to_owned() }, Files::new());
    let no_key = files.scratch.file("no-key", "dGVzdA==\n");
    let short = files.scratch.file("short", "fifteen-letters\n");
    let missing = files.scratch.0.join("missing").display().to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let taken = listener.local_addr().expect("bound").to_string();
    for (name, value, sentence) in [
        ("SEALING_KEY_FILE", None, " is not set".to_owned()),
        (
            "SEALING_KEY_FILE",
            Some(&no_key),
            format!(
                ": {no_key} has a line that is not a sealing key: line 1; expected 32 bytes in base64"
            ),
        ),
        (
            "SEALING_KEY_FILE",
            Some(&missing),
            format!(": cannot read {missing}: No such file or directory (os error 2)"),
        ),
        (
            "SERVICE_TOKEN_FILE",
            Some(&short),
            format!(
                ": {short}: line 1 is not NAME sha256:HEX [NOT-AFTER]; `cdn-activation token new` prints \
                 such a line"
            ),
        ),
        (
            "SERVICE_TOKEN_FILE",
            Some(&missing),
            format!(": cannot read {missing}: No such file or directory (os error 2)"),
        ),
        ("GRANTS_FILE", Some(&no_key), format!(": {no_key}: line 1: extra `=`, expected nothing")),
        (
            "GRANTS_FILE",
            Some(&missing),
            format!(": cannot read {missing}: No such file or directory (os error 2)"),
        ),
        (
            "GRPC_ADDR",
            Some(&taken),
            format!(": cannot listen on {taken}: Address already in use (os error 98)"),
        ),
        (
            "REST_ADDR",
            Some(&taken),
            format!(": cannot listen on {taken}: Address already in use (os error 98)"),
        ),
        (
            "OPS_ADDR",
            Some(&taken),
            format!(": cannot listen on {taken}: Address already in use (os error 98)"),
        ),
    ] {
        let mut variables = files.variables(&database);
        variables.retain(|(other, _)| *other != name);
        variables.extend(value.map(|value| (name, value.as_str())));
        let sentence = format!("{}{sentence}", named(name));
        assert_eq!(run(["serve"], &variables).await.sentence(1), sentence, "{name}={value:?}");
    }
    drop(listener);
    let mut variables = files.variables(&database);
    variables.push(("LOG", "cdn_activation=loud"));
    let ended = run(["serve"], &variables).await;
    let start = "LOG (--log): \"cdn_activation=loud\" is not a filter: ";
    assert!(ended.sentence(2).starts_with(start), "{ended:?}");
}

#[tokio::test]
async fn an_invalid_database_url_is_reported_without_its_password() {
    let files = Files::new();
    for (url, problem) in [
        (
            "postgres://user:pass-word@host:port/name",
            "has a port that is not a number from 1 to 65535",
        ),
        (
            "postgres://user:pass-word@host/name?sslmode=perhaps",
            "has sslmode=perhaps, which is not supported: use disable, prefer, require, verify-ca or \
             verify-full",
        ),
        ("user:pass-word@host/name", "is not a postgres:// URL"),
        ("mysql://user:pass-word@host/name", "is not a postgres:// URL"),
        ("", "is not a postgres:// URL"),
    ] {
        let database = Database { url: url.to_owned() };
        for (ended, name) in [
            (run(["serve"], &files.variables(&database)).await, "DATABASE_URL (--database-url)"),
            (migrate(&database).await, "DATABASE_URL (--database-url)"),
            (run(["migrate"], &[("DB_ADMIN_URL", url)]).await, "DB_ADMIN_URL (--db-admin-url)"),
        ] {
            assert_eq!(ended.sentence(1), format!("{name} {problem}"), "{url}");
        }
    }
    // This URL is valid, but no server listens at its address.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let url = format!("postgres://user:pass-word@127.0.0.1:{port}/name");
    let ended = run(["migrate"], &[("DATABASE_URL", &url)]).await;
    let sentence = ended.sentence(1);
    let expected = format!(
        "the schema could not be brought up to date: 127.0.0.1:{port}: Connection refused (os error 111)"
    );
    assert_eq!(sentence, expected);
}

#[tokio::test]
async fn settings_are_flags_or_variables_of_the_same_name() {
    let (database, files) = (Database::fresh().await, Files::new());
    let url = database.url.replacen("postgres:", "postgresql:", 1);
    let flags = [
        "serve",
        "--database-url",
        &url,
        "--sealing-key-file",
        &files.sealing_key,
        "--service-token-file",
        &files.callers[0].1,
        "--grants-file",
        &files.callers[1].1,
        "--minimum-balance",
        "20000",
        "--log",
        "warn",
    ];
    let mut program = Program::start(flags.into_iter().chain(ANY_PORTS), &[("LOG", "trace")]);
    let api: Api = program.ready().await;
    let key = api.account().await; // with a balance of 10000
    let refused = api.get(&key, "Action=OpenCdnService").await;
    refused.refused(400, "InsufficientBalance", "Your account does not have enough balance.");
    let ended = program.stop().await;
    assert_eq!(
        ended.stdout.lines().count(),
        1,
        "the flag has precedence over the variable: {ended:?}"
    );
    let help =
        run(["serve", "--help"], &[("DATABASE_URL", "postgres://user:pass-word@host/name")]).await;
    assert_eq!(help.code, Some(0));
    assert!(!help.stdout.contains("pass-word"));
    for variable in ["DATABASE_URL", "SEALING_KEY_FILE", "SERVICE_TOKEN_FILE", "DRAIN_DELAY", "LOG"]
    {
        assert!(help.stdout.contains(&format!("[env: {variable}")), "{variable}: {}", help.stdout);
    }
}

/// Runs a program without the capabilities of root to look into every process: `CAP_SYS_PTRACE`,
/// `CAP_SYS_ADMIN`, and `CAP_PERFMON`, which not every setpriv knows by name.
fn untraced() -> Vec<&'static str> {
    let id = Command::new("id").arg("-u").output().expect("it is everywhere");
    if id.stdout.trim_ascii() == b"0" {
        vec![
            "setpriv",
            "--bounding-set=-sys_ptrace,-sys_admin,-cap_38",
            "--inh-caps=-sys_ptrace,-sys_admin,-cap_38",
        ]
    } else {
        vec!["env"]
    }
}

/// Returns whether another process of the same user may look into the memory of a process. The
/// kernel asks the same for a debugger as for this file.
fn can_be_traced(process: u32) -> bool {
    let through = untraced();
    let mut cat = Command::new(through[0]);
    cat.args(&through[1..]).arg("cat").arg(format!("/proc/{process}/environ"));
    cat.output().expect("they are everywhere").status.success()
}

#[tokio::test]
async fn nobody_gets_the_memory_of_serve_as_a_core_dump_or_with_a_debugger() {
    let (database, files) = (Database::fresh().await, Files::new());
    let mut serve = command_through(untraced(), ["serve"]);
    let mut program = Program::spawn({
        serve.envs(files.variables(&database));
        serve
    });
    program.ready().await;
    let limits = std::fs::read_to_string(program.proc_file("limits")).expect("it runs, on Linux");
    let cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let cores: Vec<_> = cores.expect("a line").split_whitespace().collect();
    assert_eq!(cores, ["0", "0", "bytes"]);
    assert!(!can_be_traced(program.id()));
    assert_eq!(program.stop().await.code, Some(0));

    let through = untraced();
    let mut other = Command::new(through[0]);
    let mut other =
        other.args(&through[1..]).args(["sleep", "60"]).spawn().expect("it is everywhere");
    eventually("it is another program", async || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", other.id()));
        name.is_ok_and(|name| name.trim() == "sleep")
    })
    .await;
    let is_traced = can_be_traced(other.id());
    other.kill().and_then(|()| other.wait()).expect("it is ours");
    assert!(is_traced, "otherwise this test sees nothing");
}
