//! The program is killed at every step between order and opening: the next process cancels or keeps
//! the order. The program has no code for these tests: locks in the database and the commerce
//! system hold each step from outside.

use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;

use crate::support::commerce::{CommerceSystem, Mode};
use crate::support::database::left_out_on_citus;
use crate::support::proxy::Proxy;
use crate::support::serve_process::Process;
use crate::support::stored::LOCK_THE_ACCOUNT;
use crate::support::{Api, eventually};

/// A commerce system, an account, and the program as a process. No other process reconciles.
struct Scene {
    system: CommerceSystem,
    control: Api,
    account_id: i64,
    process: Process,
}

impl Scene {
    async fn start(through: Option<&str>) -> Self {
        let control = Api::start().await;
        Self::start_on(control, through).await
    }

    async fn start_on(control: Api, through: Option<&str>) -> Self {
        let system = CommerceSystem::start().await;
        let account_id = control.account().await.account_id;
        let url = through.unwrap_or(&control.database.url);
        let process = start(&system, url, PATIENT).await;
        Self { system, control, account_id, process }
    }

    /// Calls an opening, and kills the process when `moment` is complete.
    async fn kill_at(&mut self, moment: impl Future<Output = ()>) {
        let Self { process, account_id, .. } = self;
        tokio::select! {
            opened = process.open_cdn(*account_id) => panic!("the opening is held: {opened:?}"),
            () = moment => {}
        }
        process.kill();
    }

    /// Starts another process, and checks that orders and instances agree after its reconciler ran.
    /// Returns how many instances were opened.
    async fn recover(&self) -> usize {
        let successor = start(&self.system, &self.control.database.url, HASTY).await;
        let database = &self.control.database;
        // A statement that ran in the database when its client was killed ends first.
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock'";
        eventually("no statement waits", async || database.count(others).await == 0).await;
        let opened = self.system.agrees_with(database).await.len();
        let again = successor.open_cdn(self.account_id).await;
        assert_eq!(again.is_ok(), opened == 0, "an account that is not opened can open: {again:?}");
        assert_eq!(self.system.agrees_with(database).await.len(), 1);
        opened
    }
}

/// `ORDER_TIMEOUT` and `ORDER_RECONCILE_AFTER` of the process that is killed, and of the next one.
const PATIENT: [&str; 2] = ["5s", "60s"];
const HASTY: [&str; 2] = ["500ms", "1s"];

async fn start(system: &CommerceSystem, url: &str, [timeout, after]: [&str; 2]) -> Process {
    let endpoint = format!("http://{}", system.address);
    let variables = [
        ("ORDER_ENDPOINT", endpoint.as_str()),
        ("ORDER_TIMEOUT", timeout),
        ("ORDER_RECONCILE_AFTER", after),
    ];
    Process::start(url, &variables).await
}

/// Makes the intents of the killed process due, which would otherwise be due in a minute.
async fn make_due(scene: &Scene) {
    scene.control.database.execute("UPDATE order_intents SET due_at = created_at").await;
}

#[tokio::test]
async fn if_the_process_is_killed_while_it_writes_the_intent_nothing_is_ordered() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::start(None).await;
    let held = scene.control.database.hold_inserts_into("order_intents").await;
    let database = scene.control.database.clone();
    scene.kill_at(database.waits_for_a_lock("INSERT INTO order_intents")).await;
    held.commit().await;
    let written = async || database.count("SELECT count(*) FROM order_intents").await == 1;
    eventually("the intent is written", written).await;
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
    assert_eq!(
        scene.system.look(|books| books.ordered.len()),
        1,
        "the order of the second opening"
    );
}

#[tokio::test]
async fn an_order_that_is_placed_after_its_process_was_killed_is_cancelled() {
    let mut scene = Scene::start(None).await;
    let system = scene.system.clone();
    system.behave(Mode::HoldBeforeOrdering);
    scene.kill_at(system.until("the order is requested", |books| books.calls.len() == 1)).await;
    system.behave(Mode::Accept);
    system.until("the order is placed", |books| books.ordered.len() == 1).await;
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn an_order_whose_process_was_killed_before_the_answer_is_cancelled() {
    let mut scene = Scene::start(None).await;
    let system = scene.system.clone();
    system.behave(Mode::HoldAfterOrdering);
    scene.kill_at(system.until("the order is placed", |books| books.ordered.len() == 1)).await;
    system.behave(Mode::Accept);
    assert_eq!(system.live().len(), 1);
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn an_opening_that_is_written_after_its_process_was_killed_keeps_its_order() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::start(None).await;
    let held = scene.control.database.hold_inserts_into("instances").await;
    let database = scene.control.database.clone();
    scene.kill_at(database.waits_for_a_lock("INSERT INTO instances")).await;
    held.commit().await;
    let written = async || database.count("SELECT count(*) FROM instances").await == 1;
    eventually("the opening is written", written).await;
    assert_eq!(scene.recover().await, 1);
    assert!(scene.system.look(|books| books.cancelled.is_empty()));
}

#[tokio::test]
async fn an_order_whose_process_and_database_session_were_killed_is_cancelled() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::start(None).await;
    let held = scene.control.database.hold_inserts_into("instances").await;
    let database = scene.control.database.clone();
    scene.kill_at(database.waits_for_a_lock("INSERT INTO instances")).await;
    let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    database.execute(statement).await;
    held.commit().await;
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn an_opening_of_a_killed_process_is_not_written_after_its_order_was_cancelled() {
    let mut scene = Scene::start(None).await;
    let database = scene.control.database.clone();
    let successor = start(&scene.system, &database.url, HASTY).await;
    let cancelled = scene.system.clone();
    // The writer is between two attempts when its order is cancelled.
    let lock = database.hold(scene.account_id, LOCK_THE_ACCOUNT).await;
    scene.kill_at(database.waits_for_a_lock("INSERT INTO instances")).await;
    make_due(&scene).await;
    cancelled.until("the order is cancelled", |books| books.cancelled.len() == 1).await;
    lock.commit().await;
    drop(successor);
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn an_opening_whose_process_was_killed_before_the_reply_keeps_its_order() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let control = Api::start().await;
    let (proxy, url) = Proxy::before_database(&control.database).await;
    let mut scene = Scene::start_on(control, Some(&url)).await;
    let database = scene.control.database.clone();
    let held = scene.control.database.hold_inserts_into("instances").await;
    let written = async {
        database.waits_for_a_lock("INSERT INTO instances").await;
        proxy.hold_replies(true);
        held.commit().await;
        let written = async || database.count("SELECT count(*) FROM instances").await == 1;
        eventually("the opening is written", written).await;
    };
    scene.kill_at(written).await;
    assert_eq!(scene.recover().await, 1);
    assert!(scene.system.look(|books| books.cancelled.is_empty()));
}

#[tokio::test]
async fn an_order_whose_process_was_killed_after_it_lost_a_race_is_cancelled() {
    let mut scene = Scene::start(None).await;
    let system = scene.system.clone();
    let database = scene.control.database.clone();
    system.behave(Mode::HoldAfterOrdering);
    system.refuse_to_cancel(true);
    {
        // Another replica, without a commerce system, is faster.
        let ordered = system.until("the order is placed", |books| books.ordered.len() == 1);
        let lose = async {
            ordered.await;
            let account_id = scene.account_id.to_string();
            let mut other = scene.control.cdn_for(Some(&account_id)).await;
            let request = OpenCdnServiceRequest::default();
            other.open_cdn_service(request).await.expect("opened");
            system.behave(Mode::Accept);
        };
        let (outcome, ()) = tokio::join!(scene.process.open_cdn(scene.account_id), lose);
        assert_eq!(outcome.expect_err("lost").code(), tonic::Code::AlreadyExists);
    }
    scene.process.kill();
    assert_eq!(system.live().len(), 1, "an order without its instance");
    system.refuse_to_cancel(false);
    make_due(&scene).await;
    let _successor = start(&system, &database.url, HASTY).await;
    let cancelled = |books: &crate::support::commerce::Books| books.cancelled.len() == 1;
    system.until("the order is cancelled", cancelled).await;
    assert!(system.live().is_empty());
}
