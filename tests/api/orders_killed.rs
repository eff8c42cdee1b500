//! The program is killed between order and opening, at every step: what is left is put in order by
//! the next one that runs. Nothing in the program stops for these tests: the steps are held from
//! outside, by locks in the database and by the commerce system.

use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;

use crate::support::commerce::{CommerceSystem, Mode};
use crate::support::database::left_out_on_citus;
use crate::support::proxy::Proxy;
use crate::support::serve_process::Process;
use crate::support::stored::LOCK_THE_ACCOUNT;
use crate::support::{Api, eventually};

/// A commerce system, accounts, and the program as a process; nothing else reconciles.
struct Scene {
    system: CommerceSystem,
    control: Api,
    account_id: i64,
    process: Process,
}

impl Scene {
    async fn set(through: Option<&str>) -> Self {
        let control = Api::start().await;
        Self::set_on(control, through).await
    }

    async fn set_on(control: Api, through: Option<&str>) -> Self {
        let system = CommerceSystem::start().await;
        let account_id = control.account().await.account_id;
        let url = through.unwrap_or(&control.database.url);
        let process = start(&system, url, PATIENT).await;
        Self { system, control, account_id, process }
    }

    /// Asks the process to open, and kills it when `moment` has come.
    async fn kill_at(&mut self, moment: impl Future<Output = ()>) {
        let Self { process, account_id, .. } = self;
        tokio::select! {
            opened = process.open_cdn(*account_id) => panic!("it is held: {opened:?}"),
            () = moment => {}
        }
        process.kill();
    }

    /// Another process runs; what its reconciler leaves is in agreement. How many are opened.
    async fn recover(&self) -> usize {
        let successor = start(&self.system, &self.control.database.url, HASTY).await;
        let database = &self.control.database;
        // What was under way in the database when its client died comes to an end first.
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock'";
        eventually("nobody waits", async || database.count(others).await == 0).await;
        let opened = self.system.agrees_with(database).await.len();
        let again = successor.open_cdn(self.account_id).await;
        assert_eq!(again.is_ok(), opened == 0, "who was not opened can open: {again:?}");
        assert_eq!(self.system.agrees_with(database).await.len(), 1);
        opened
    }
}

/// `ORDER_TIMEOUT` and `ORDER_RECONCILE_AFTER` of who is killed, and of who cleans up.
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

/// The intents of the killed process would be due in a minute.
async fn make_due(scene: &Scene) {
    scene.control.database.execute("UPDATE order_intents SET due_at = created_at").await;
}

#[tokio::test]
async fn killed_while_the_intent_is_written() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::set(None).await;
    let held = scene.control.database.hold_inserts_into("order_intents").await;
    let database = scene.control.database.clone();
    scene.kill_at(database.waits_for_a_lock("INSERT INTO order_intents")).await;
    held.commit().await;
    let written = async || database.count("SELECT count(*) FROM order_intents").await == 1;
    eventually("the database writes what it was told", written).await;
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
    assert_eq!(scene.system.look(|books| books.ordered.len()), 1, "that of the second opening");
}

#[tokio::test]
async fn killed_before_the_order_is_placed_which_then_is() {
    let mut scene = Scene::set(None).await;
    let system = scene.system.clone();
    system.behave(Mode::HoldBeforeOrdering);
    scene.kill_at(system.until("it is asked for", |books| books.calls.len() == 1)).await;
    system.behave(Mode::Accept);
    system.until("it is ordered", |books| books.ordered.len() == 1).await;
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn killed_before_the_answer_that_the_order_is_placed() {
    let mut scene = Scene::set(None).await;
    let system = scene.system.clone();
    system.behave(Mode::HoldAfterOrdering);
    scene.kill_at(system.until("it is ordered", |books| books.ordered.len() == 1)).await;
    system.behave(Mode::Accept);
    assert_eq!(system.live().len(), 1);
    make_due(&scene).await;
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn killed_while_the_opening_is_written_which_then_is() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::set(None).await;
    let held = scene.control.database.hold_inserts_into("instances").await;
    let database = scene.control.database.clone();
    scene.kill_at(database.waits_for_a_lock("INSERT INTO instances")).await;
    held.commit().await;
    let written = async || database.count("SELECT count(*) FROM instances").await == 1;
    eventually("the database writes what it was told", written).await;
    assert_eq!(scene.recover().await, 1);
    assert!(scene.system.look(|books| books.cancelled.is_empty()));
}

#[tokio::test]
async fn killed_with_its_connection_while_the_opening_is_written() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let mut scene = Scene::set(None).await;
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
async fn killed_while_the_opening_is_written_that_the_reconciler_overtakes() {
    let mut scene = Scene::set(None).await;
    let database = scene.control.database.clone();
    let successor = start(&scene.system, &database.url, HASTY).await;
    let cancelled = scene.system.clone();
    // The writer is between two turns when the order is cancelled under its feet.
    let lock = database.hold(scene.account_id, LOCK_THE_ACCOUNT).await;
    scene.kill_at(database.waits_for_a_lock("INSERT INTO instances")).await;
    make_due(&scene).await;
    cancelled.until("it is cancelled", |books| books.cancelled.len() == 1).await;
    lock.commit().await;
    drop(successor);
    assert_eq!(scene.recover().await, 0);
}

#[tokio::test]
async fn killed_after_the_opening_is_written_before_it_knew() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let control = Api::start().await;
    let (proxy, url) = Proxy::before_database(&control.database).await;
    let mut scene = Scene::set_on(control, Some(&url)).await;
    let database = scene.control.database.clone();
    let held = scene.control.database.hold_inserts_into("instances").await;
    let written = async {
        database.waits_for_a_lock("INSERT INTO instances").await;
        proxy.hold_replies(true);
        held.commit().await;
        let written = async || database.count("SELECT count(*) FROM instances").await == 1;
        eventually("it is written", written).await;
    };
    scene.kill_at(written).await;
    assert_eq!(scene.recover().await, 1);
    assert!(scene.system.look(|books| books.cancelled.is_empty()));
}

#[tokio::test]
async fn killed_after_the_opening_was_lost_to_another_before_its_order_is_cancelled() {
    let mut scene = Scene::set(None).await;
    let system = scene.system.clone();
    let database = scene.control.database.clone();
    system.behave(Mode::HoldAfterOrdering);
    system.refuse_to_cancel(true);
    {
        // Another replica, without a commerce system, is faster.
        let ordered = system.until("it is ordered", |books| books.ordered.len() == 1);
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
    system.until("it is cancelled", cancelled).await;
    assert!(system.live().is_empty());
}
