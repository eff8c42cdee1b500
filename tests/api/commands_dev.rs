//! `cdn-activation dev`: one command that starts everything, keeps its state in one directory and
//! leaves no process behind. Steps share a directory and a process, because it takes seconds to
//! create them.

use std::os::unix::fs::PermissionsExt;

use cdn_activation::proto::dcdn::v1 as dcdn;
use cdn_activation::proto::operator::v1 as operator;
use futures_util::future::join_all;
use prost::Message;

use crate::support::callers::line;
use crate::support::database::left_out;
use crate::support::process::{Program, dev_on, run};
use crate::support::raw_grpc::framed;
use crate::support::rest::{Key, query};
use crate::support::scratch::Scratch;
use crate::support::{Api, TOKEN, eventually};

/// The account of the demo key `testid`.
const ACCOUNT_OF_TESTID: i64 = 1_000_000_000_000_001;

/// Returns a demo key of `dev`.
pub fn demo_key(id: &str) -> Key {
    Key { account_id: 0, id: id.to_owned(), secret: "testsecret".to_owned() }
}

/// Returns the text between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}: {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?}: {text}")).0
}

async fn wait_until_no_process_is_left(scratch: &Scratch) {
    eventually("no process is left", async || scratch.processes().is_empty()).await;
}

/// Checks that the commands that `dev` prints work when they are pasted.
async fn paste(api: &Api, lines: &str) {
    let url = between(lines, "curl '", "'");
    let target = url.strip_prefix(&format!("http://{}", api.addresses.rest)).expect("its address");
    let reply = api.send("GET", target, &[], b"").await;
    assert_eq!(reply.succeeded().text("InternetChargeType"), "PayByBandwidth");
    let token = between(lines, "Bearer $(cat ", ")");
    let token = std::fs::read_to_string(token).expect("its file");
    let authorization = format!("Bearer {}", token.trim());
    let account_id = between(lines, "x-account-id: ", "'");
    let call =
        format!("{} activation.dcdn.v1.DcdnService/DescribeDcdnService\n", api.addresses.grpc);
    assert!(lines.contains(&call), "{lines}");
    let metadata = [("authorization", authorization.as_str()), ("x-account-id", account_id)];
    let path = "/activation.dcdn.v1.DcdnService/DescribeDcdnService";
    let reply = api.raw_grpc().await.send(path, &metadata, framed(&[])).await;
    let instance = reply.message::<dcdn::DescribeDcdnServiceResponse>();
    assert_eq!(instance.instance_id, "Eexample ID");
}

/// Creates an access key with the service token from the data directory.
async fn create_key(api: &Api, token: &str, account_id: i64) -> Key {
    let request = operator::CreateAccessKeyRequest { account_id, ..Default::default() };
    let path = "/activation.operator.v1.AccessKeyService/CreateAccessKey";
    let authorization = format!("Bearer {token}");
    let metadata = [("authorization", authorization.as_str())];
    let body = framed(&request.encode_to_vec());
    let reply = api.raw_grpc().await.send(path, &metadata, body).await;
    let created = reply.message::<operator::CreateAccessKeyResponse>();
    let id = created.access_key.expect("a key").access_key_id;
    Key { account_id, id, secret: created.access_key_secret }
}

#[tokio::test]
async fn dev_keeps_its_state_in_its_directory_and_leaves_no_process() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("state").display().to_string();
    let already_opened = (400, "CdnService.HasOpened", "Your cdn service has opened.");

    // The first start creates everything.
    let (program, api) = Program::dev(&directory, &[]).await;
    eventually("the commands are printed", async || {
        program.stderr().contains("DescribeDcdnService\n\n")
    })
    .await;
    paste(&api, &program.stderr()).await;
    for file in ["sealing-key", "service-token"] {
        let metadata = scratch.0.join("state").join(file).metadata().expect("it was created");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    let token = std::fs::read_to_string(scratch.0.join("state/service-token")).expect("a token");
    let open = query(&api.sign(
        &demo_key("testid"),
        "GET",
        api.common(&demo_key("testid"), "Action=OpenCdnService"),
    ));
    api.send_get(&open).await.succeeded();
    let key = create_key(&api, token.trim(), ACCOUNT_OF_TESTID).await;
    // Without a setting there are no quotas: `serve` would admit five of these calls a second.
    let calls = (0..60).map(|_| api.get(&key, "Action=OpenCdnService"));
    for reply in join_all(calls).await {
        assert_eq!(reply.text("Code"), "CdnService.HasOpened");
    }
    let line = format!("ready {}\n", api.addresses);
    assert_eq!(program.stdout(), line, "only the ready line is printed");
    let ended = program.stop().await;
    assert_eq!((ended.code, ended.stdout), (Some(0), line));
    assert!(ended.stderr.contains("caller=\"dev\""), "{}", ended.stderr);
    wait_until_no_process_is_left(&scratch).await;

    // The second start uses the existing data. It has quotas.
    let (program, api) = Program::dev(&directory, &["--quotas", "true"]).await;
    let (status, code, message) = already_opened;
    api.get(&demo_key("testid"), "Action=OpenCdnService")
        .await
        .refused_by_dev(&api, status, code, message);
    let used = "Specified signature nonce was used already.";
    api.send_get(&open).await.refused_by_dev(&api, 400, "SignatureNonceUsed", used);
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    let calls = (0..60).map(|_| api.get(&key, "Action=OpenCdnService"));
    let refused = join_all(calls).await;
    assert!(refused.iter().any(|reply| reply.text("Code") == "Throttling.User"), "{refused:?}");
    create_key(&api, token.trim(), ACCOUNT_OF_TESTID).await;
    program.signal("INT");
    let ended = program.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    wait_until_no_process_is_left(&scratch).await;

    // If `dev` is killed, its PostgreSQL ends too, and no data is lost.
    let (program, api) = Program::dev(&directory, &[]).await;
    api.get(&key, "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websocketbps")
        .await
        .succeeded();
    assert!(scratch.processes().len() > 1, "PostgreSQL runs");
    program.signal("KILL");
    assert_eq!(program.end().await.code, None);
    wait_until_no_process_is_left(&scratch).await;

    // If a port is in use, `dev` ends, and its PostgreSQL too.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut arguments: Vec<_> = dev_on(&directory).collect();
    let rest_addr = arguments.iter().position(|argument| *argument == "--rest-addr");
    arguments[rest_addr.expect("given") + 1] = &address;
    let ended = run(arguments, &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let sentence = format!("cdn-activation: REST_ADDR (--rest-addr): cannot listen on {address}: ");
    let last = ended.stderr.lines().last().expect("a sentence");
    assert!(last.starts_with(&sentence), "{ended:?}");
    wait_until_no_process_is_left(&scratch).await;

    // If `dev` is stopped while it starts, it does not leave a process either.
    let program = Program::start(dev_on(&directory), &[]);
    eventually("PostgreSQL runs", async || scratch.processes().len() > 1).await;
    program.stop().await;
    wait_until_no_process_is_left(&scratch).await;

    let (program, api) = Program::dev(&directory, &[]).await;
    api.get(&key, "Action=DescribeDcdnService").await.succeeded();
    assert_eq!(program.stop().await.code, Some(0));
    wait_until_no_process_is_left(&scratch).await;
}

#[tokio::test]
async fn a_start_time_that_is_not_an_instant_is_refused() {
    for wrong in ["yesterday", "2018-03-20", "2018-03-20T00:00:00", "2018-02-30T00:00:00Z", ""] {
        let ended = run(["dev", "--at", wrong], &[]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let message =
            format!("{wrong:?} is not an instant; expected a value such as 2018-03-20T00:00:00Z");
        assert!(ended.stderr.contains(&message), "{ended:?}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_created_is_reported_in_one_sentence() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let below = format!("{file}/below");
    let ended = run(["dev", "--data-dir", &below], &[]).await;
    assert_eq!(ended.sentence(1), format!("cannot create {file}: File exists (os error 17)"));
}

#[tokio::test]
async fn dev_also_takes_a_file_of_tokens_and_grants() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("state").display().to_string();
    let tokens = format!("{}{}", line("dev", "token-of-the-developer"), line("shop", TOKEN));
    let tokens = scratch.file("tokens", &tokens);
    let grants = scratch.file("grants.toml", include_str!("../../deploy/grants/caller.toml"));
    let files = ["--service-token-file", &tokens, "--grants-file", &grants];
    let (program, api) = Program::dev(&directory, &files).await;
    let grpc = api.raw_grpc().await;
    let list = "/activation.operator.v1.AccountService/ListAccounts";
    let describe = "/activation.cdn.v1.CdnService/DescribeCdnService";
    for (token, path, code) in [
        ("token-of-the-developer", list, "OK"),
        ("token-of-the-developer", describe, "MissingAccountId"),
        (TOKEN, list, "ServiceForbidden"),
        (TOKEN, describe, "MissingAccountId"),
    ] {
        assert_eq!(grpc.call_with(token, path, &[], &()).await.code(), code, "{token} {path}");
    }
    assert_eq!(program.stop().await.code, Some(0));
}
