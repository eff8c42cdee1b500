//! If an output of `serve` is full or is not read, log lines are lost, and nothing else fails.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use cdn_activation::proto::operator::v1::GetAccountRequest;
use cdn_activation::server::Addresses;

use crate::support::database::Database;
use crate::support::process::{Program, command};
use crate::support::scratch::Scratch;
use crate::support::serve_process::Deployment;
use crate::support::{Api, eventually};

/// Returns addresses that no other process uses: a program whose output is lost cannot report its
/// ports.
fn own_addresses() -> Addresses<std::net::SocketAddr> {
    let process = std::process::id().to_be_bytes();
    let address = |port: u16| ([127, 64 + process[1] % 64, process[2], process[3]], port).into();
    Addresses { grpc: address(7001), rest: address(7002), ops: address(7003) }
}

/// Opens an output that accepts no bytes.
fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("Linux")
}

#[tokio::test]
async fn serve_on_a_full_disk_answers_every_call_and_ends() {
    let (database, addresses) = (Database::fresh().await, own_addresses());
    let deployment = Deployment::new(&database);
    let text = |address: std::net::SocketAddr| address.to_string();
    let [grpc, rest, ops] = [addresses.grpc, addresses.rest, addresses.ops].map(text);
    let listeners = [("GRPC_ADDR", &*grpc), ("REST_ADDR", &*rest), ("OPS_ADDR", &*ops)];
    let mut command = deployment.serve(&[&listeners[..], &[("LOG_ONE_IN", "1")]].concat());
    command.stdout(full_disk()).stderr(full_disk());
    let mut program = Program::spawn(command);
    let ops = addresses.ops;
    eventually("the service listens", async || {
        assert!(program.runs());
        tokio::net::TcpStream::connect(ops).await.is_ok()
    })
    .await;
    let api = Api::at_addresses(addresses);
    eventually("ready", async || api.page("/readyz").await.status == 200).await;

    // The secret of a new key is returned only once: the log must not prevent the reply.
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    let opened = "Your cdn service has opened.";
    let reply = api.get(&key, "Action=OpenCdnService").await;
    assert_eq!((reply.status, reply.text("Message").as_str()), (400, opened));
    eventually("the lost lines are counted", async || {
        api.metric("log_lines_dropped_total").await.is_some_and(|lines| lines >= 4.0)
    })
    .await;
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn call_on_a_full_disk_fails_with_a_sentence() {
    let scratch = Scratch::new();
    let secret = scratch.file("secret", "testsecret");
    let arguments = ["call", "--print-url", "--access-key-id", "testid", "OpenCdnService"];
    let mut command = command(arguments, &[]);
    command.args(["--endpoint", "http://127.0.0.1:1", "--access-key-secret-file", &secret]);
    command.stdout(full_disk());
    let ended = Program::spawn(command).end().await;
    assert!(ended.sentence(1).starts_with("cannot write to standard output: "), "{ended:?}");
}

/// Starts `serve`, and reads only the ready line of its standard output. Returns the rest unread.
async fn serve_unread(deployment: &Deployment) -> (Program, Api, impl BufRead + Send + 'static) {
    let (output, child_output) = std::io::pipe().expect("a pipe");
    let mut command = deployment.serve(&[("DRAIN_TIMEOUT", "5s")]);
    command.stdout(child_output).stderr(Stdio::null());
    let program = Program::spawn(command);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line).expect("a line");
        (output, line)
    });
    let (output, line) = reading.await.expect("it does not panic");
    (program, Api::of_ready_line(line.trim_end()), output)
}

/// Makes calls that are refused, of which some are logged.
async fn refused_calls(api: &Api) {
    let target = "/?Action=NoSuchAction&Format=JSON&Version=2018-05-10";
    let request = api.request("GET", target, &[], b"");
    let mut connection = api.connect().await;
    for _ in 0..1000 {
        connection.send(&request).await;
        let reply = connection.reply().await.expect("answered");
        assert_eq!((reply.status, reply.text("Code").as_str()), (404, "InvalidAction.NotFound"));
    }
}

/// Makes operators' calls, which are all logged: more lines than can be queued.
async fn operators_calls(api: &Api) {
    let account_id = api.account().await.account_id;
    let accounts = api.accounts().await;
    for _ in 0..60 {
        let calls = (0..50).map(|_| {
            let mut accounts = accounts.clone();
            async move { accounts.get_account(GetAccountRequest { account_id }).await }
        });
        futures_util::future::try_join_all(calls).await.expect("answered");
    }
    let dropped = api.metric("log_lines_dropped_total").await;
    assert!(dropped.is_some_and(|lines| lines > 0.0), "{dropped:?}");
}

#[tokio::test]
async fn serve_with_an_output_that_is_not_read_answers_every_call_and_ends() {
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let (program, api, unread) = serve_unread(&deployment).await;
    refused_calls(&api).await;
    operators_calls(&api).await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    assert_eq!(api.page("/readyz").await.status, 200);
    let stopped = Instant::now();
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
    drop(unread);
}

#[tokio::test]
async fn a_log_that_is_read_again_reports_how_many_lines_it_lost() {
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let (program, api, output) = serve_unread(&deployment).await;
    operators_calls(&api).await;
    let (send, receive) = tokio::sync::oneshot::channel();
    let reading = std::thread::spawn(move || {
        let mut lines = output.lines().map(|line| line.expect("UTF-8"));
        let report = lines.find(|line| line.contains("log lines were dropped"));
        send.send(report.expect("the log reports it")).expect("the test waits");
        lines.count()
    });
    let report = receive.await.expect("the reader does not panic");
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    reading.join().expect("it reads to the end");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["level"], "WARN");
    let (lines, total) = (report["lines"].as_u64(), report["total"].as_u64());
    assert!(lines > Some(0) && total >= lines);
}
