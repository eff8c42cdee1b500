//! The key ring of `SEALING_KEY_FILE`, and the command `reseal`: the sealing key is replaced while
//! the service serves.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

use cdn_activation::auth::sealing::{KeyRing, SealingKey};
use cdn_activation::clock::Clock;
use cdn_activation::proto::operator::v1 as operator;

use crate::support::callers;
use crate::support::database::Database;
use crate::support::process::{Ended, Program, run};
use crate::support::rest::{Key, hex, query};
use crate::support::scratch::Scratch;
use crate::support::{Api, eventually};

const STATUS: &str = "Action=DescribeUserCdnStatus";
const SEALED_BY_OTHERS: &str =
    "SELECT count(*) FROM access_keys WHERE substr(secret_sealed, 2, 4) <> $1";

/// A sealing key: its line and its id.
struct Line {
    text: String,
    id: [u8; 4],
}

impl Line {
    fn new() -> Self {
        let text = SealingKey::generate().expect("random bytes").to_string();
        let id = SealingKey::parse(&text).expect("a key").id();
        Self { text, id }
    }
}

fn text(keys: &[&Line]) -> String {
    let lines: Vec<_> = keys.iter().map(|key| format!("{}\n", key.text)).collect();
    format!("# sealing keys\n\n{}", lines.concat())
}

/// A replica with a key file of its own, which is replaced by renaming, as Kubernetes does.
struct Replica {
    api: Api,
    scratch: Scratch,
    file: String,
    ring: KeyRing,
}

impl Replica {
    async fn start(database: &Database, keys: &[&Line]) -> Self {
        let scratch = Scratch::new();
        let file = scratch.file("sealing-key", &text(keys));
        let ring = KeyRing::of_file(Path::new(&file)).expect("a ring");
        let key = SealingKey::parse(&keys[0].text).expect("a key");
        let given = ring.clone();
        let api = Api::start_on(database.clone(), key, Clock::system(), |settings| {
            settings.key_ring = given;
            settings.bounds.look_at_files = Duration::from_millis(500);
        })
        .await;
        Self { api, scratch, file, ring }
    }

    /// Replaces the file, and waits until the service has its keys.
    async fn replace(&self, keys: &[&Line]) {
        let new = self.scratch.file("new", &text(keys));
        std::fs::rename(new, &self.file).expect("renamed");
        let ids: Vec<_> = keys.iter().map(|key| key.id).collect();
        eventually("the keys are replaced", async || {
            self.ring.checks().iter().map(|check| check.key_id).collect::<Vec<_>>() == ids
        })
        .await;
    }
}

async fn reseal(database: &Database, file: &str) -> Ended {
    let variables = [("DATABASE_URL", database.url.as_str()), ("SEALING_KEY_FILE", file)];
    run(["reseal"], &variables).await
}

async fn sealed_by_others(database: &Database, key: &Line) -> i64 {
    sqlx::query_scalar(SEALED_BY_OTHERS)
        .bind(key.id.to_vec())
        .fetch_one(&mut database.connect().await)
        .await
        .expect("reads")
}

/// What the callers have seen while keys were replaced.
#[derive(Default)]
struct Load {
    stopped: Cell<bool>,
    calls: Cell<u32>,
    failures: RefCell<Vec<String>>,
}

impl Load {
    fn note<T>(&self, what: &str, outcome: Result<T, String>) -> Option<T> {
        self.calls.set(self.calls.get() + 1);
        outcome.map_err(|why| self.failures.borrow_mut().push(format!("{what}: {why}"))).ok()
    }

    /// Waits until there were so many further calls.
    async fn goes_on(&self) {
        let enough = self.calls.get() + 100;
        eventually("the load goes on", async || self.calls.get() >= enough).await;
    }

    async fn sign(&self, replicas: &[Replica; 2], key: &Key) {
        while !self.stopped.get() {
            for Replica { api, .. } in replicas {
                let reply = api.get(key, STATUS).await;
                let outcome = if reply.status == 200 { Ok(()) } else { Err(reply.body) };
                self.note("a signed request", outcome);
            }
        }
    }

    /// Issues credentials at one replica and uses them at the other one, and creates keys.
    async fn issue(&self, replicas: &[Replica; 2], key: &Key) {
        let [one, other] = replicas;
        while !self.stopped.get() {
            let request = operator::IssueSecurityTokenRequest {
                access_key_id: key.id.clone(),
                ..Default::default()
            };
            let issued = one.api.access_keys().await.issue_security_token(request).await;
            let issued = issued.map_err(|status| status.to_string());
            let Some(issued) = self.note("issuing", issued) else { continue };
            let issued = issued.into_inner();
            let (id, secret) = (issued.access_key_id, issued.access_key_secret);
            let temporary = Key { account_id: key.account_id, id, secret };
            let given = format!("{STATUS}&SecurityToken={}", issued.security_token);
            let signed = other.api.sign(&temporary, "GET", other.api.common(&temporary, &given));
            let reply = other.api.send_get(&query(&signed)).await;
            let outcome = if reply.status == 200 { Ok(()) } else { Err(reply.body) };
            self.note("a temporary credential", outcome);
            let new = one.api.account().await;
            let reply = other.api.get(&new, STATUS).await;
            let outcome = if reply.status == 200 { Ok(()) } else { Err(reply.body) };
            self.note("a new key", outcome);
        }
    }

    /// Walks through the accounts in pages of one, each page from another replica than the last.
    async fn turn_pages(&self, replicas: &[Replica; 2]) {
        let mut page_token = String::new();
        for Replica { api, .. } in replicas.iter().cycle() {
            if self.stopped.get() {
                return;
            }
            let request = operator::ListAccountsRequest { page_size: 1, page_token };
            let page = api.accounts().await.list_accounts(request).await;
            let page = self.note("a page", page.map_err(|status| status.to_string()));
            page_token = page.map(|page| page.into_inner().next_page_token).unwrap_or_default();
        }
    }

    /// Follows events with one cursor, likewise.
    async fn follow(&self, replicas: &[Replica; 2]) {
        let mut cursor = String::new();
        for Replica { api, .. } in replicas.iter().cycle() {
            if self.stopped.get() {
                return;
            }
            let request =
                operator::ListEventsRequest { page_size: 1, cursor, ..Default::default() };
            let page = api.events().await.list_events(request).await;
            let page = self.note("a cursor", page.map_err(|status| status.to_string()));
            cursor = page.map(|page| page.into_inner().next_cursor).unwrap_or_default();
        }
    }
}

#[tokio::test]
async fn the_sealing_key_is_replaced_under_load_without_a_failed_call() {
    let (old, new) = (Line::new(), Line::new());
    let database = Database::fresh().await;
    let replicas =
        [Replica::start(&database, &[&old]).await, Replica::start(&database, &[&old]).await];
    let key = replicas[0].api.account().await;
    let load = Load::default();
    let rotation = async {
        load.goes_on().await;
        for keys in [&[&old, &new][..], &[&new, &old]] {
            for replica in &replicas {
                replica.replace(keys).await;
                load.goes_on().await;
            }
        }
        eventually("the new key is recorded", async || {
            database.count("SELECT count(*) FROM sealing_checks").await == 2
        })
        .await;
        let ended = reseal(&database, &replicas[0].file).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        load.goes_on().await;
        for replica in &replicas {
            replica.replace(&[&new]).await;
            load.goes_on().await;
        }
        load.stopped.set(true);
    };
    tokio::join!(
        rotation,
        load.sign(&replicas, &key),
        load.issue(&replicas, &key),
        load.turn_pages(&replicas),
        load.follow(&replicas),
    );
    let failures = load.failures.take();
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), load.calls.get());
    assert_eq!(sealed_by_others(&database, &new).await, 0);
    assert_eq!(database.count("SELECT count(*) FROM sealing_checks").await, 1);
    for replica in &replicas {
        assert_eq!(replica.api.page("/readyz").await.body, "ready\n");
    }
}

#[tokio::test]
async fn reseal_changes_no_etag_does_nothing_twice_and_reports_what_it_cannot_decrypt() {
    let (old, new, lost) = (Line::new(), Line::new(), Line::new());
    let database = Database::fresh().await;
    let mut replica = Replica::start(&database, &[&old, &lost]).await;
    let api = &replica.api;
    let key = api.account().await;
    api.get(&key, STATUS).await.succeeded(); // from now on, the service has the key ready
    let etags = "SELECT string_agg(version::text, ',' ORDER BY access_key_id) FROM access_keys";
    let read = async || -> String {
        let mut connection = database.connect().await;
        sqlx::query_scalar(etags).fetch_one(&mut connection).await.expect("reads")
    };
    let many = 250; // several batches
    for account in 0..many {
        let id = format!("LTAI{account:04}");
        api.store_key(10_000 + account, &id, "secret").await;
    }
    let before = read().await;
    replica.replace(&[&new, &old]).await;
    let ended = reseal(&database, &replica.file).await;
    let sentence = |count: i64, forgotten: i64| {
        format!(
            "encrypted the secrets of {count} access keys with sealing key {}; {forgotten} other \
             sealing keys are not used any more\n",
            hex(&new.id)
        )
    };
    assert_eq!((ended.code, ended.stdout), (Some(0), sentence(many + 1, 1)), "{}", ended.stderr);
    assert_eq!(sealed_by_others(&database, &new).await, 0);
    let ended = reseal(&database, &replica.file).await;
    assert_eq!((ended.code, ended.stdout), (Some(0), sentence(0, 0)), "{}", ended.stderr);
    assert_eq!(read().await, before, "no version has changed");
    api.get(&key, STATUS).await.succeeded();
    let stored = Key { account_id: 10_007, id: "LTAI0007".to_owned(), secret: "secret".to_owned() };
    let reply = api.get(&stored, STATUS).await; // the signature holds; the account does not exist
    assert_eq!(reply.text("Code"), "AccountNotFound");

    // A secret whose key is lost is reported, and the others are encrypted.
    replica.api.sealing_key = SealingKey::parse(&lost.text).expect("a key");
    replica.api.store_key(10_000, "LTAIlost", "secret").await;
    let only_old = replica.scratch.file("only-old", &text(&[&old, &new]));
    let ended = reseal(&database, &only_old).await;
    assert_eq!(ended.code, Some(1));
    let reason = "decrypts the secrets of 1 access keys, the first of them LTAIlost";
    assert!(ended.stderr.contains(reason), "{ended:?}");
    assert_eq!(sealed_by_others(&database, &old).await, 1);
}

#[tokio::test]
async fn a_service_that_lacks_a_key_of_the_database_is_unready_until_its_file_has_it() {
    let (old, new) = (Line::new(), Line::new());
    let database = Database::fresh().await;
    let first = Replica::start(&database, &[&old]).await;
    first.api.account().await;
    let scratch = Scratch::new();
    let file = scratch.file("sealing-key", &text(&[&new]));
    let ring = KeyRing::of_file(Path::new(&file)).expect("a ring");
    let key = SealingKey::parse(&new.text).expect("a key");
    let (other, announced) =
        Api::start_unready(database.clone(), key, Clock::system(), |all| all.key_ring = ring).await;
    let sentence = format!(
        "not ready: SEALING_KEY_FILE lacks a sealing key with which this database was used: its id \
         is {}\n",
        hex(&old.id)
    );
    eventually("it says so", async || other.page("/readyz").await.body == sentence).await;
    assert_eq!(database.count("SELECT count(*) FROM sealing_checks").await, 1);
    std::fs::write(&file, text(&[&old, &new])).expect("written");
    announced.await.expect("it becomes ready");
}

#[tokio::test]
async fn a_file_that_became_wrong_leaves_the_keys_as_they_are_and_is_logged_once() {
    let key = Line::new();
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let file = scratch.file("sealing-key", &text(&[&key]));
    let [(tokens, tokens_file), (grants, grants_file)] = callers::files(&scratch.0);
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("SEALING_KEY_FILE", &file),
        (tokens, &tokens_file),
        (grants, &grants_file),
    ];
    let ports = crate::support::process::ANY_PORTS;
    let mut program = Program::start(std::iter::once("serve").chain(ports), &variables);
    let api = program.ready().await;
    let signer = api.account().await;
    std::fs::write(&file, "not a key, but perhaps a part of one\n").expect("written");
    let wrong = "has a line that is not a sealing key: line 1";
    let logged = |program: &Program| format!("{}{}", program.stdout(), program.stderr());
    eventually("it is logged", async || logged(&program).contains(wrong)).await;
    tokio::time::sleep(Duration::from_secs(7)).await; // the file is read twice more
    assert_eq!(logged(&program).matches(wrong).count(), 1);
    assert!(!logged(&program).contains("perhaps a part"), "{}", logged(&program));
    api.get(&signer, STATUS).await.succeeded();
    api.get(&api.account().await, STATUS).await.succeeded();
    std::fs::write(&file, text(&[&Line::new(), &key])).expect("written");
    let replaced = "the new content of a file is in force";
    eventually("the keys are replaced", async || logged(&program).contains(replaced)).await;
    api.get(&signer, STATUS).await.succeeded();
    assert_eq!(program.stop().await.code, Some(0));
}
