//! Readiness follows the database: a service starts even if the database is not available, reports
//! that it is unready, and becomes ready when the database is available.

use std::path::PathBuf;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::cdn::v1 as cdn;
use cdn_activation::server::{Addresses, Server};
use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use tokio::net::TcpListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::database::{Database, left_out, pg_bin};
use crate::support::grpc::refusal;
use crate::support::scratch::Scratch;
use crate::support::{Api, eventually, settings};

fn sealing_key() -> SealingKey {
    SealingKey::parse(&SealingKey::generate().expect("random bytes")).expect("a key")
}

/// Returns the health of the whole program and of one service.
async fn health(api: &Api) -> [ServingStatus; 2] {
    let mut client = HealthClient::new(api.channel().await);
    let mut statuses = [ServingStatus::Unknown; 2];
    for (index, name) in ["", "activation.cdn.v1.CdnService"].into_iter().enumerate() {
        let request = HealthCheckRequest { service: name.to_owned() };
        statuses[index] = client.check(request).await.expect("known").into_inner().status();
    }
    statuses
}

/// Checks that the service is alive, and is unready for both probes.
async fn assert_unready(api: &Api) {
    let page = api.page("/readyz").await;
    assert_eq!(page.status, 503);
    assert!(page.body.starts_with("not ready: "), "{}", page.body);
    assert_eq!(api.page("/livez").await.status, 200);
    assert_eq!(health(api).await, [ServingStatus::NotServing; 2]);
}

async fn becomes_ready(api: &Api) {
    eventually("ready", async || api.page("/readyz").await.status == 200).await;
    assert_eq!(health(api).await, [ServingStatus::Serving; 2]);
}

#[tokio::test]
async fn a_service_on_a_database_without_schema_waits_for_the_migration() {
    let database = Database::empty().await;
    let url = database.url.clone();
    let (api, announced) =
        Api::start_unready(database, sealing_key(), Clock::system(), |_| {}).await;
    assert_unready(&api).await;
    // A call is answered all the same.
    let request = cdn::DescribeCdnServiceRequest::default();
    let answer = api.cdn_for(Some("1")).await.describe_cdn_service(request).await;
    let refused = refusal(&answer.expect_err("no schema"));
    assert!(refused.http >= 500, "{refused:?}");
    assert_unready(&api).await;
    storage::migrate(&url.parse().expect("a URL")).await.expect("migrated");
    announced.await.expect("ready is announced now");
    becomes_ready(&api).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.stop().await;
}

#[tokio::test]
async fn a_service_that_never_became_ready_can_be_stopped() {
    let database = Database::empty().await;
    let (api, announced) =
        Api::start_unready(database, sealing_key(), Clock::system(), |_| {}).await;
    assert_unready(&api).await;
    api.stop().await;
    announced.await.expect_err("nothing was announced");
}

#[tokio::test]
async fn several_replicas_can_migrate_at_once() {
    let database = Database::empty().await;
    let url = database.url.parse().expect("a URL");
    let migrations = (0..4).map(|_| storage::migrate(&url));
    for migrated in futures_util::future::join_all(migrations).await {
        migrated.expect("migrated");
    }
    storage::migrate(&url).await.expect("nothing is left to do");
    let api = Api::start_on(database, sealing_key(), Clock::system(), |_| {}).await;
    let key = api.account().await;
    api.open_dcdn(&key).await;
}

/// Starts a PostgreSQL with this data directory.
async fn postgres(data_dir: PathBuf) -> PrivatePostgres {
    let pg_bin = pg_bin().map(Into::into);
    let options = Options { data_dir, durability: Durability::Durable, pg_bin };
    let start = move || PrivatePostgres::start(&options).expect("a private PostgreSQL");
    tokio::task::spawn_blocking(start).await.expect("started")
}

#[tokio::test]
async fn readiness_follows_a_database_that_goes_away_and_comes_back() {
    if left_out("it stops PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let server = postgres(scratch.0.join("data")).await;
    let url = server.url("postgres");
    storage::migrate(&url.parse().expect("a URL")).await.expect("migrated");
    let api = Api::start_on(Database { url }, sealing_key(), Clock::system(), |_| {}).await;
    let key = api.account().await;
    api.get(&key, "Action=OpenCdnService").await.succeeded();

    tokio::task::spawn_blocking(|| server.stop()).await.expect("stopped");
    let message = "The request has failed due to a temporary failure of the server.";
    let gone = api.get(&key, "Action=DescribeCdnService").await;
    gone.refused(503, "ServiceUnavailable", message);
    let request = cdn::OpenCdnServiceRequest::default();
    let gone = api.cdn(&key).await.open_cdn_service(request).await.expect_err("no database");
    let refused = refusal(&gone);
    assert_eq!((refused.grpc, refused.http), (tonic::Code::Unavailable, 503), "{gone:?}");
    eventually("unready", async || api.page("/readyz").await.status == 503).await;
    assert_unready(&api).await;

    let server = postgres(scratch.0.join("data")).await;
    becomes_ready(&api).await;
    let again = api.get(&key, "Action=OpenCdnService").await;
    again.refused(400, "CdnService.HasOpened", "Your cdn service has opened.");
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    api.stop().await;
    tokio::task::spawn_blocking(|| server.stop()).await.expect("stopped");
}

#[tokio::test]
async fn the_error_of_a_taken_port_is_one_sentence_that_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let taken = listener.local_addr().expect("bound").to_string();
    let database = Database { url: "postgres:///nobody?host=/nowhere".to_owned() };
    let choices: [fn(&mut Addresses<String>) -> &mut String; 3] = [
        |addresses| &mut addresses.grpc,
        |addresses| &mut addresses.rest,
        |addresses| &mut addresses.ops,
    ];
    for choose in choices {
        let mut settings = settings(&database, sealing_key(), Clock::system());
        choose(&mut settings.addresses).clone_from(&taken);
        let Err(error) = Server::bind(settings).await else { panic!("{taken} is taken") };
        let sentence = error.to_string();
        let what = format!("): cannot listen on {taken}: ");
        assert!(sentence.contains(&what) && !sentence.contains('\n'), "{sentence}");
    }
}
