//! The files of calling services as a deployment changes them: Kubernetes swaps a symbolic link, an
//! edit is wrong, a mode is too wide.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use cdn_activation::config::named;

use crate::support::callers::{self, NAME, grants, line};
use crate::support::database::Database;
use crate::support::process::{Program, run};
use crate::support::raw_grpc::RawGrpc;
use crate::support::scratch::{Scratch, write_secret};
use crate::support::{Api, SEALING_KEY, TOKEN, eventually};

const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";
const LIST: &str = "/activation.operator.v1.AccountService/ListAccounts";
const NEW: &str = "the-token-that-was-added";

/// Waits until a call with this token ends with this code, at most ten seconds.
async fn until(grpc: &RawGrpc, token: &str, path: &str, code: &str) {
    let begun = Instant::now();
    loop {
        let answered = grpc.call_with(token, path, &[], &()).await.code();
        if answered == code {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "still {answered}, not {code}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes a version of a mounted volume, and lets `..data` point to it by one rename, as the kubelet
/// does.
fn publish(volume: &Path, version: &str, tokens: &str, grants: &str) {
    let directory = volume.join(version);
    fs::create_dir(&directory).expect("a new version");
    for (name, text) in [("service-tokens", tokens), ("grants.toml", grants)] {
        write_secret(&directory.join(name), text);
        fs::set_permissions(directory.join(name), Permissions::from_mode(0o440)).expect("ours");
    }
    symlink(version, volume.join("..data_tmp")).expect("a new link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("swapped");
}

#[tokio::test]
async fn a_swapped_link_of_a_mounted_volume_is_in_force_within_ten_seconds() {
    let scratch = Scratch::new();
    let volume = &scratch.0;
    publish(volume, "..2026_1", &callers::tokens(), &grants(NAME, "actions = [\"*\"]"));
    for name in ["service-tokens", "grants.toml"] {
        symlink(Path::new("..data").join(name), volume.join(name)).expect("a new link");
    }
    let callers = callers::open(&volume.join("service-tokens"), &volume.join("grants.toml"));
    let api = Api::start_with(|settings| settings.callers = callers).await;
    let grpc = api.raw_grpc().await;
    let code = async |token: &str, path: &str| grpc.call_with(token, path, &[], &()).await.code();
    assert_eq!(code(TOKEN, DESCRIBE).await, "MissingAccountId");
    assert_eq!(code(TOKEN, LIST).await, "ServiceForbidden");
    assert_eq!(code(NEW, LIST).await, "ServiceUnauthenticated");
    let others = format!("{}{}", grants("other", "operators = [\"*\"]"), grants(NAME, ""));
    publish(volume, "..2026_2", &format!("{}{}", callers::tokens(), line("other", NEW)), &others);
    until(&grpc, NEW, LIST, "OK").await;
    assert_eq!(code(TOKEN, DESCRIBE).await, "ServiceForbidden", "both files were swapped at once");
}

#[tokio::test]
async fn a_token_file_that_is_empty_for_less_than_two_looks_revokes_nothing() {
    const LOOK: Duration = Duration::from_secs(1);
    let (scratch, tokens) = (Scratch::new(), callers::tokens());
    let (file, grants) =
        (scratch.file("tokens", &tokens), scratch.file("grants.toml", callers::EVERYTHING));
    let callers = callers::open(file.as_ref(), grants.as_ref());
    let api = Api::start_with(|settings| {
        settings.callers = callers;
        settings.bounds.look_at_files = LOOK;
    })
    .await;
    let grpc = api.raw_grpc().await;
    // Long enough that most rounds are seen by a look, and short enough that none is seen by two.
    let held = LOOK * 7 / 10;
    for cut in ["", &tokens[..tokens.len() / 2]].repeat(3) {
        for text in [cut, &tokens] {
            scratch.file("tokens", text);
            let begun = Instant::now();
            while begun.elapsed() < held {
                let code = grpc.call_with(TOKEN, LIST, &[], &()).await.code();
                assert_eq!(code, "OK", "with {text:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    let outcome = async |name: &str| api.metric(&format!("{name}{{file=\"tokens\"}}")).await;
    assert_eq!(outcome("followed_files_applied_total").await, Some(0.0));
    assert_eq!(outcome("followed_files_refused").await, Some(0.0));
    scratch.file("tokens", "");
    until(&grpc, TOKEN, LIST, "ServiceUnauthenticated").await;
}

#[tokio::test]
async fn a_file_that_became_wrong_keeps_the_earlier_state_and_is_logged() {
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let key = scratch.file("sealing-key", SEALING_KEY);
    let files = callers::files(&scratch.0);
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("SEALING_KEY_FILE", &key),
        (files[0].0, &files[0].1),
        (files[1].0, &files[1].1),
        ("GRPC_ADDR", "127.0.0.1:0"),
        ("REST_ADDR", "127.0.0.1:0"),
        ("OPS_ADDR", "127.0.0.1:0"),
    ];
    let mut program = Program::start(["serve"], &variables);
    let api = program.ready().await;
    let grpc = api.raw_grpc().await;
    let logged = async |sentence: String| {
        eventually(&sentence, async || program.stdout().contains(&sentence)).await;
    };
    let both = format!("{}{}", callers::tokens(), line(NAME, NEW));

    scratch.file("service-tokens", &format!("{both}{NEW} is not a digest\n"));
    logged(format!("{}: line 3 has more than three words", files[0].1)).await;
    scratch.file("grants.toml", "[[identity]]\nname = 'tests'\nnames = 1\n");
    logged(format!("{}: line 3: unknown field `names`", files[1].1)).await;
    fs::set_permissions(&files[1].1, Permissions::from_mode(0o666)).expect("ours");
    logged(format!("{} can be written by every user; run: chmod o-w", files[1].1)).await;
    until(&grpc, TOKEN, LIST, "OK").await;
    assert_eq!(grpc.call_with(NEW, LIST, &[], &()).await.code(), "ServiceUnauthenticated");

    scratch.file("service-tokens", &both);
    until(&grpc, NEW, LIST, "OK").await;
    let in_force = "the new content of a file is in force";
    logged(in_force.to_owned()).await;
    let refused =
        async |file: &str| api.metric(&format!("followed_files_refused{{file=\"{file}\"}}")).await;
    assert_eq!([refused("tokens").await, refused("grants").await], [Some(0.0), Some(1.0)]);
    let applied = api.metric("followed_files_applied_total{file=\"tokens\"}").await;
    assert_eq!(applied, Some(1.0));
    let ended = program.stop().await;
    let line = ended.stdout.lines().find(|line| line.contains(in_force)).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!([&line["file"], &line["content"]], ["tokens", "2 tokens"]);
    for sentence in ["more than three words", "unknown field", "can be written by every user"] {
        assert_eq!(ended.stdout.matches(sentence).count(), 1, "{sentence}: {}", ended.stdout);
    }
    let shown = [&ended.stdout, &ended.stderr].map(|output| output.contains(NEW));
    assert_eq!(shown, [false; 2], "the content of a file is never logged");
}

#[tokio::test]
async fn a_file_with_a_secret_that_every_user_can_read_or_write_is_refused() {
    let scratch = Scratch::new();
    let key = scratch.file("sealing-key", SEALING_KEY);
    let files = callers::files(&scratch.0);
    let variables = [
        ("DATABASE_URL", "postgres:///none?host=/nowhere"),
        ("SEALING_KEY_FILE", key.as_str()),
        (files[0].0, files[0].1.as_str()),
        (files[1].0, files[1].1.as_str()),
    ];
    for (path, mode, may, change) in [
        (&key, 0o644, "read", "o-r"),
        (&key, 0o602, "written", "o-w"),
        (&files[0].1, 0o666, "read and written", "o-rw"),
        (&files[1].1, 0o646, "written", "o-w"),
    ] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        let (variable, _) = variables.iter().find(|(_, file)| file == path).expect("listed");
        let setting = named(variable);
        let sentence =
            format!("{setting}: {path} can be {may} by every user; run: chmod {change} {path}");
        assert_eq!(run(["serve"], &variables).await.sentence(1), sentence, "{mode:o}");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
    }
    let secret = scratch.file("secret", "testsecret");
    fs::set_permissions(&secret, Permissions::from_mode(0o604)).expect("ours");
    let sentence = format!("{secret} can be read by every user; run: chmod o-r {secret}");
    let call = ["call", "--access-key-id", "a", "--access-key-secret-file", &secret, "--print-url"];
    let ended = run(call.into_iter().chain(["DescribeCdnService"]), &[]).await;
    assert_eq!(ended.sentence(1), sentence);
}

#[tokio::test]
async fn without_a_file_of_grants_serve_grants_nothing_and_logs_a_warning() {
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let key = scratch.file("sealing-key", SEALING_KEY);
    let files = callers::files(&scratch.0);
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("SEALING_KEY_FILE", &key),
        (files[0].0, &files[0].1),
        ("GRPC_ADDR", "127.0.0.1:0"),
        ("REST_ADDR", "127.0.0.1:0"),
        ("OPS_ADDR", "127.0.0.1:0"),
    ];
    let mut program = Program::start(["serve"], &variables);
    let grpc = program.ready().await.raw_grpc().await;
    for path in [DESCRIBE, LIST] {
        assert_eq!(grpc.call_with(TOKEN, path, &[], &()).await.code(), "ServiceForbidden");
    }
    let ended = program.stop().await;
    assert!(ended.stderr.contains("GRANTS_FILE is not set: calling services are granted nothing"));
    let line = ended.stdout.lines().find(|line| line.contains("ServiceForbidden")).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!([&line["caller"], &line["action"]], [NAME, DESCRIBE]);
}
