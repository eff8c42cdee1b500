//! The signals of `serve`, and that it ends in time whatever hangs: `DRAIN_DELAY` and
//! `DRAIN_TIMEOUT`, and a second more.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use cdn_activation::proto::operator::v1::GetAccountRequest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::proxy::Proxy;
use crate::support::serve_process::Deployment;
use crate::support::stopped_thread::StoppedThread;
use crate::support::{Api, eventually};

/// The settings of the programs here, in seconds each.
const STOP: [(&str, &str); 3] = [("DRAIN_DELAY", "1s"), ("DRAIN_TIMEOUT", "1s"), ("CORES", "2")];
/// How long such a program may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// Additional time that a busy machine may take.
const SLACK: Duration = Duration::from_secs(2);

async fn serve(database: &Database, variables: &[(&str, &str)]) -> (Deployment, Program, Api) {
    let deployment = Deployment::new(database);
    let mut program = Program::spawn(deployment.serve(variables));
    let api = program.ready().await;
    (deployment, program, api)
}

/// Asks a program to stop, and checks how long it takes. Returns its status and its log.
async fn stops_in_time(program: Program) -> (Option<i32>, String) {
    let asked = Instant::now();
    let ended = program.stop().await;
    let took = asked.elapsed();
    assert!(took < ENDS_WITHIN + SLACK, "{took:?}");
    (ended.code, ended.stdout)
}

#[tokio::test]
async fn signals_that_ask_to_read_settings_again_do_not_end_the_process() {
    let database = Database::fresh().await;
    let (_files, program, api) = serve(&database, &[]).await;
    for signal in ["HUP", "USR1", "USR2", "HUP"] {
        program.signal(signal);
    }
    let line = "ignored a signal";
    eventually("it is logged", async || program.stdout().contains(line)).await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    let ended = program.stop().await;
    assert_eq!((ended.code, ended.stdout.matches(line).count()), (Some(0), 1), "{ended:?}");
}

#[tokio::test]
async fn a_second_request_to_stop_ends_the_process_at_once() {
    let database = Database::fresh().await;
    for signals in [["TERM", "TERM"], ["INT", "TERM"]] {
        let (_files, program, api) = serve(&database, &[("DRAIN_DELAY", "5m")]).await;
        program.signal(signals[0]);
        eventually("it drains", async || api.page("/readyz").await.status == 503).await;
        let asked = Instant::now();
        program.signal(signals[1]);
        assert_eq!(program.end().await.code, Some(1));
        assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn a_core_that_is_blocked_fails_livez_and_does_not_delay_the_end() {
    let database = Database::fresh().await;
    let (_files, program, api) = serve(&database, &STOP).await;
    assert_eq!(api.page("/livez").await.status, 200);
    let Some(_stopped) = StoppedThread::stop(program.id(), "core-1") else { return };
    let begun = Instant::now();
    eventually("it is not alive", async || api.page("/livez").await.status == 503).await;
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    let page = api.page("/livez").await.body;
    assert!(page.starts_with("core-1 has not turned its loop for 1"), "{page}");
    let (code, log) = stops_in_time(program).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("cut off the shutdown"), "{log}");
}

#[tokio::test]
async fn a_process_whose_first_thread_is_blocked_ends_in_time_with_status_1() {
    let database = Database::fresh().await;
    let (_files, program, _api) = serve(&database, &STOP).await;
    let name = std::fs::read_to_string(program.proc_file("comm")).expect("it runs");
    let Some(_stopped) = StoppedThread::stop(program.id(), name.trim_end()) else { return };
    let (code, log) = stops_in_time(program).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the stop takes too long; the process exits"), "{log}");
}

/// Sends requests and reads no answer.
async fn blind(api: &Api) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    let mut stream = socket.connect(api.addresses.rest).await.expect("it listens");
    let requests = api.request("GET", "/", &[], b"").repeat(100);
    tokio::spawn(async move { while stream.write_all(&requests).await.is_ok() {} });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_an_unread_log_and_an_unread_answer_do_not_delay_the_end() {
    let database = Database::fresh().await;
    let (proxy, url) = Proxy::before_database(&database).await;
    let deployment = Deployment::new(&Database { url });
    let (output, child_output) = std::io::pipe().expect("a pipe");
    let mut command = deployment.serve(&[&STOP[..], &[("LOG_ONE_IN", "1")]].concat());
    command.stdout(child_output).stderr(Stdio::null());
    let program = Program::spawn(command);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line).expect("a line");
        (output, line)
    });
    let (unread, line) = reading.await.expect("it does not panic");
    let api = Api::of_ready_line(line.trim_end());
    let account_id = api.account().await.account_id;
    blind(&api).await;
    let accounts = api.accounts().await;
    let read = || {
        let mut accounts = accounts.clone();
        async move { accounts.get_account(GetAccountRequest { account_id }).await }
    };
    while api.metric("log_lines_dropped_total").await.is_none_or(|lines| lines < 1.0) {
        futures_util::future::try_join_all((0..50).map(|_| read())).await.expect("answered");
    }
    proxy.hold_replies(true);
    let hanging: Vec<_> = (0..8).map(|_| tokio::spawn(read())).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (code, _) = stops_in_time(program).await;
    assert_eq!(code, Some(0));
    drop((unread, hanging));
}
