//! The credentials of the service itself are replaced under load by the steps of `SECURITY.md`: the
//! password of the database, and the token or certificate for the commerce system. Two `serve` processes are
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
use crate::support::scratch::{Scratch, write_secret};
use crate::support::tls::{Authority, Issued};
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
        let mut fleet = Self { files, programs, load, callers };
        fleet.goes_on().await;
        fleet
    }

    /// Waits until there were so many further openings that each replica had some. Panics if a call
    /// has failed.
    async fn goes_on(&mut self) {
        let opened = |load: &Load| load.opened.load(Ordering::SeqCst);
        let enough = opened(&self.load) + 20;
        eventually("the load goes on", async || {
            assert!(self.callers.try_join_next().is_none(), "a call has failed");
            opened(&self.load) >= enough
        })
        .await;
    }

    /// Replaces one replica after the other by one with other variables.
    async fn roll(&mut self, variables: &[(&str, &str)]) {
        for place in 0..self.programs.len() {
            let (program, api) = self.files.serve(variables).await;
            self.load.serving.lock().expect("not poisoned")[place] = Arc::new(api);
            let old = std::mem::replace(&mut self.programs[place], program);
            let ended = old.stop().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            self.goes_on().await;
        }
    }

    /// Checks that no call has failed, and returns the number of openings.
    async fn end(mut self) -> u32 {
        self.goes_on().await;
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
    fleet.goes_on().await;

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
async fn a_wrong_password_in_the_file_of_the_url_is_refused_until_the_database_accepts_it() {
    if left_out("it starts PostgreSQL with passwords") {
        return;
    }
    let scratch = Scratch::new();
    let (server, owner) = with_passwords(&scratch).await;
    owner.execute("CREATE ROLE cdn_activation LOGIN PASSWORD 'first'").await;
    owner.execute(GRANTS).await;
    let wrong = url(&owner, "cdn_activation", "new-word");
    eventually("a password is asked for", async || refused(&wrong).await.is_some()).await;
    let files = Files::new();
    let file = files.scratch.file("url", &url(&owner, "cdn_activation", "first"));
    let (program, api) = files.serve(&[("DATABASE_URL_FILE", &file)]).await;
    let key = api.account().await;
    let metric = async |line: &str| api.page("/metrics").await.body.lines().any(|l| l == line);

    // The file has the new password before the role has it.
    write_secret(std::path::Path::new(&file), &wrong);
    let is_refused = "followed_files_refused{file=\"database_url\"} 1";
    eventually("refused", async || metric(is_refused).await).await;
    let why = "no connection with this URL, which is tried again: ";
    eventually("the reason is logged", async || {
        let log = program.stdout();
        log.lines()
            .any(|line| line.contains(why) && line.contains("password authentication failed"))
    })
    .await;
    assert!(!program.stdout().contains("new-word"), "the log has no password");
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cdn_activation'";
    owner.execute(end).await;
    let answers = async || api.get(&key, "Action=DescribeUserCdnStatus").await.status == 200;
    eventually("new connections use the earlier password", answers).await;

    owner.execute("ALTER ROLE cdn_activation PASSWORD 'new-word'").await;
    eventually("applied", async || {
        metric("followed_files_applied_total{file=\"database_url\"} 1").await
    })
    .await;
    let is_refused_no_more = "followed_files_refused{file=\"database_url\"} 0";
    eventually("no longer refused", async || metric(is_refused_no_more).await).await;
    owner.execute(end).await;
    eventually("new connections use the new password", answers).await;
    assert_eq!(program.stdout().matches(why).count(), 1, "it is refused once");
    assert_eq!(program.stop().await.code, Some(0));
    tokio::task::spawn_blocking(|| server.stop()).await.expect("stopped");
}

/// A credential for the commerce system.
struct CommerceCredential<'a> {
    /// The token, or the client certificate in DER.
    seen: Vec<u8>,
    /// The settings that name its files.
    variables: Vec<(&'a str, &'a str)>,
}

/// Replaces a credential by another one under load, and checks that no opening fails. The address
/// and the authority of the commerce system are in these files.
async fn replace_at(
    system: &CommerceSystem,
    authority: &str,
    mut files: Files,
    [old, new]: [CommerceCredential<'_>; 2],
) {
    let database = Database::fresh().await;
    files.variables.extend([
        ("DATABASE_URL", database.url.clone()),
        ("ORDER_ENDPOINT", format!("https://{}", system.address)),
        ("ORDER_CA_FILE", authority.to_owned()),
    ]);
    system.accept_only(&[&old.seen]);
    let mut fleet = Fleet::start(files, &old.variables).await;
    system.accept_only(&[&old.seen, &new.seen]);
    fleet.roll(&new.variables).await;
    system.accept_only(&[&new.seen]);
    fleet.goes_on().await;

    // The commerce system does refuse the old credential now.
    let (late, api) = fleet.files.serve(&old.variables).await;
    let key = api.account().await;
    let opened = api.cdn(&key).await.open_cdn_service(OpenCdnServiceRequest::default()).await;
    let refused = refusal(&opened.expect_err("the old credential is refused"));
    assert_eq!(refused.code, "LX_CREATE_ORDER_FAILED");
    late.stop().await;

    let opened = fleet.end().await;
    let orders = system.agrees_with(&database).await;
    assert_eq!(orders.len(), usize::try_from(opened).expect("a few"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_for_the_commerce_system_is_replaced_under_load_without_a_failed_opening() {
    let files = Files::new();
    let tokens = ["token-before-rotation", "token-after-rotation"];
    let paths = tokens.map(|token| files.scratch.file(token, token));
    let system = CommerceSystem::start_with_tls(&files.scratch).await;
    let authority = files.scratch.0.join("certificate.pem");
    let credential = |place: usize| CommerceCredential {
        seen: tokens[place].into(),
        variables: vec![("ORDER_TOKEN_FILE", &paths[place])],
    };
    let authority = authority.to_str().expect("UTF-8");
    replace_at(&system, authority, files, [0, 1].map(credential)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_for_the_commerce_system_is_replaced_under_load_without_a_failed_opening() {
    let files = Files::new();
    let (theirs, ours) = (Authority::new("commerce system"), Authority::new("services"));
    let system = CommerceSystem::start_with_client_ca(&theirs.issue(&[]), &ours.pem()).await;
    let issued = [(); 2].map(|()| ours.issue(&["spiffe://example.org/cdn-activation"]));
    let paths = [0, 1].map(|place: usize| {
        let Issued { certificate, key } = &issued[place];
        let file = |kind: &str, text: &str| files.scratch.file(&format!("{kind}-{place}"), text);
        [file("certificate", certificate), file("key", key)]
    });
    let credential = |place: usize| CommerceCredential {
        seen: issued[place].der(),
        variables: vec![
            ("ORDER_CERT_FILE", &paths[place][0]),
            ("ORDER_KEY_FILE", &paths[place][1]),
        ],
    };
    let authority = files.scratch.file("authority", &theirs.pem());
    replace_at(&system, &authority, files, [0, 1].map(credential)).await;
}
