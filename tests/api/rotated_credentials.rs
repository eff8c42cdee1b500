//! The credentials of the service itself are replaced under load by the steps of `SECURITY.md`: the
//! password of the database, and the token for the commerce system. Two `serve` processes are
//! replaced one after the other, as a rollout does, and no call fails.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;

use crate::support::commerce::CommerceSystem;
use crate::support::database::{Database, left_out, pg_bin};
use crate::support::grpc::refusal;
use crate::support::process::{ANY_PORTS, Program};
use crate::support::scratch::Scratch;
use crate::support::{Api, SEALING_KEY, callers, eventually};

const GRANTS: &str = include_str!("../../deploy/database/grants.sql");

/// The files that all replicas share.
struct Files {
    scratch: Scratch,
    variables: Vec<(&'static str, String)>,
}

impl Files {
    fn new() -> Self {
        let scratch = Scratch::new();
        let mut variables = vec![
            ("SEALING_KEY_FILE", scratch.file("key", SEALING_KEY)),
            ("DB_CONNECTIONS", "8".to_owned()),
            // A call that has chosen a replica before it is taken out still reaches it.
            ("DRAIN_DELAY", "1s".to_owned()),
        ];
        variables.extend(callers::files(&scratch.0));
        Self { scratch, variables }
    }

    /// Starts a replica with these further variables, and waits until it is ready.
    async fn serve(&self, variables: &[(&str, &str)]) -> (Program, Api) {
        let mut all = variables.to_vec();
        all.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        let mut program = Program::start(["serve"].into_iter().chain(ANY_PORTS), &all);
        let api = program.ready().await;
        (program, api)
    }
}

/// Callers that create accounts and open products for them, each call at a replica that serves.
#[derive(Default)]
struct Load {
    serving: Mutex<Vec<Arc<Api>>>,
    ends: AtomicBool,
    opened: AtomicU32,
}

impl Load {
    async fn run(&self) {
        for turn in 0.. {
            if self.ends.load(Ordering::SeqCst) {
                return;
            }
            let replica = || {
                let serving = self.serving.lock().expect("not poisoned");
                Arc::clone(&serving[turn % serving.len()])
            };
            // Each of these panics if its call fails.
            let key = replica().account().await;
            replica().open_cdn(&key).await;
            replica().get(&key, "Action=DescribeCdnService").await.succeeded();
            self.opened.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until there were so many further openings that each replica had some.
    async fn goes_on(&self) {
        let enough = self.opened.load(Ordering::SeqCst) + 20;
        eventually("the load goes on", async || self.opened.load(Ordering::SeqCst) >= enough).await;
    }
}

/// Two replicas under load.
struct Fleet {
    files: Files,
    programs: Vec<Program>,
    load: Arc<Load>,
    callers: JoinSet<()>,
}

impl Fleet {
    async fn start(files: Files, variables: &[(&str, &str)]) -> Self {
        let (mut programs, load) = (Vec::new(), Arc::new(Load::default()));
        for _ in 0..2 {
            let (program, api) = files.serve(variables).await;
            programs.push(program);
            load.serving.lock().expect("not poisoned").push(Arc::new(api));
        }
        let mut callers = JoinSet::new();
        for _ in 0..3 {
            let load = Arc::clone(&load);
            callers.spawn(async move { load.run().await });
        }
        load.goes_on().await;
        Self { files, programs, load, callers }
    }

    /// Replaces one replica after the other by one with other variables.
    async fn roll(&mut self, variables: &[(&str, &str)]) {
        for place in 0..self.programs.len() {
            let (program, api) = self.files.serve(variables).await;
            self.load.serving.lock().expect("not poisoned")[place] = Arc::new(api);
            let old = std::mem::replace(&mut self.programs[place], program);
            let ended = old.stop().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            self.load.goes_on().await;
        }
    }

    /// Checks that no call has failed, and returns the number of openings.
    async fn end(mut self) -> u32 {
        self.load.goes_on().await;
        self.load.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("no call failed");
        }
        self.load.opened.load(Ordering::SeqCst)
    }
}

/// Starts a PostgreSQL that asks every role but its owner for a password, with the schema.
async fn with_passwords(scratch: &Scratch) -> (PrivatePostgres, Database) {
    let pg_bin = pg_bin().map(Into::into);
    let data_dir = scratch.0.join("database");
    let options = Options { data_dir, durability: Durability::Throwaway, pg_bin };
    let start = move || PrivatePostgres::start(&options).expect("a private PostgreSQL");
    let server = tokio::task::spawn_blocking(start).await.expect("started");
    let owner = Database { url: server.url("postgres") };
    storage::migrate(&owner.url.parse().expect("a URL")).await.expect("migrated");
    let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
    let file = server.data_dir().join("postgres/pg_hba.conf");
    std::fs::write(file, rules).expect("written");
    owner.execute("SELECT pg_reload_conf()").await;
    (server, owner)
}

/// Returns the URL for a role with this password.
fn url(owner: &Database, role: &str, password: &str) -> String {
    let url = owner.as_role(role).url;
    url.replace("&sslmode=", &format!("&password={password}&sslmode="))
}

/// Returns why a connection is refused, or `None`.
async fn refused(url: &str) -> Option<String> {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.connect().await.err().map(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_the_database_is_replaced_under_load_without_a_failed_call() {
    if left_out("it starts PostgreSQL with passwords") {
        return;
    }
    let scratch = Scratch::new();
    let (server, owner) = with_passwords(&scratch).await;
    owner.execute("CREATE ROLE cdn_activation LOGIN PASSWORD 'first'").await;
    owner.execute(GRANTS).await;
    let wrong = url(&owner, "cdn_activation", "wrong");
    let asks = "password authentication failed";
    eventually("a password is asked for", async || {
        refused(&wrong).await.is_some_and(|why| why.contains(asks))
    })
    .await;
    let first = url(&owner, "cdn_activation", "first");
    let mut fleet = Fleet::start(Files::new(), &[("DATABASE_URL", &first)]).await;

    owner
        .execute("CREATE ROLE cdn_activation_b LOGIN PASSWORD 'second' IN ROLE cdn_activation")
        .await;
    let second = url(&owner, "cdn_activation_b", "second");
    fleet.roll(&[("DATABASE_URL", &second)]).await;
    owner.execute("ALTER ROLE cdn_activation NOLOGIN").await;
    let why = refused(&first).await.expect("the old role cannot log in");
    assert!(why.contains("is not permitted to log in"), "{why}");
    fleet.load.goes_on().await;

    // The next time, the other way round.
    owner.execute("ALTER ROLE cdn_activation LOGIN PASSWORD 'third'").await;
    let third = url(&owner, "cdn_activation", "third");
    fleet.roll(&[("DATABASE_URL", &third)]).await;
    owner.execute("ALTER ROLE cdn_activation_b NOLOGIN").await;
    for old in [&first, &second] {
        assert!(refused(old).await.is_some(), "an old password is refused");
    }
    let opened = fleet.end().await;
    assert_eq!(owner.count("SELECT count(*) FROM instances").await, i64::from(opened));
    tokio::task::spawn_blocking(|| server.stop()).await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_for_the_commerce_system_is_replaced_under_load_without_a_failed_opening() {
    let files = Files::new();
    let [old, new] = ["token-before-rotation", "token-after-rotation"];
    let token_files = [files.scratch.file("old", old), files.scratch.file("new", new)];
    let system = CommerceSystem::start_with_tls(&files.scratch).await;
    system.accept_only(&[old]);
    let database = Database::fresh().await;
    let endpoint = format!("https://{}", system.address);
    let certificate = files.scratch.0.join("certificate.pem");
    let with_token = |file| {
        [
            ("DATABASE_URL", database.url.as_str()),
            ("ORDER_ENDPOINT", &endpoint),
            ("ORDER_CA_FILE", certificate.to_str().expect("UTF-8")),
            ("ORDER_TOKEN_FILE", file),
        ]
    };
    let [with_old, with_new] = [with_token(&token_files[0]), with_token(&token_files[1])];
    let mut fleet = Fleet::start(files, &with_old).await;
    system.accept_only(&[old, new]);
    fleet.roll(&with_new).await;
    system.accept_only(&[new]);
    fleet.load.goes_on().await;

    // The commerce system does refuse the old token now.
    let (late, api) = fleet.files.serve(&with_old).await;
    let key = api.account().await;
    let opened = api.cdn(&key).await.open_cdn_service(OpenCdnServiceRequest::default()).await;
    let refused = refusal(&opened.expect_err("the token is refused"));
    assert_eq!(refused.code, "LX_CREATE_ORDER_FAILED");
    late.stop().await;

    let opened = fleet.end().await;
    let orders = system.agrees_with(&database).await;
    assert_eq!(orders.len(), usize::try_from(opened).expect("a few"));
    let sent = system.look(|books| books.authorizations.clone());
    for token in [old, new] {
        let bearer = Some(format!("Bearer {token}"));
        assert!(sent.iter().filter(|sent| **sent == bearer).count() >= 40, "{token}");
    }
}
