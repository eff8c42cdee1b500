//! Followers of a running service, and events that are written by another connection, as another
//! process would.

use std::time::Duration;

use cdn_activation::domain::AccountId;
use cdn_activation::domain::Time;
use cdn_activation::domain::event::lane;
use cdn_activation::ids::new_id;
use cdn_activation::proto::events::v1::{AccountChanged, Event, EventData, event_data};
use cdn_activation::proto::operator::v1::event_service_client::EventServiceClient;
use cdn_activation::proto::operator::v1::{
    ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
};
use prost::Message;
use sqlx::PgConnection;
use tonic::{Request, Status, Streaming};

use super::Api;
use super::grpc::Caller;

/// Longest time that a test waits for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the event service.
pub type Events = EventServiceClient<Caller>;

/// An open watch.
pub type Watch = Streaming<WatchEventsResponse>;

impl Api {
    /// Returns a client of `EventService` on a new connection.
    pub async fn events(&self) -> Events {
        EventServiceClient::new(self.caller(None).await)
    }
}

/// Watches everything after a cursor, with the longest deadline.
pub async fn watch(events: &mut Events, cursor: &str) -> Watch {
    watch_with(events, WatchEventsRequest { cursor: cursor.to_owned(), ..Default::default() })
        .await
        .expect("watched")
}

/// Opens a watch with the longest deadline.
pub async fn watch_with(events: &mut Events, request: WatchEventsRequest) -> Result<Watch, Status> {
    let mut request = Request::new(request);
    request.set_timeout(Duration::from_secs(30));
    events.watch_events(request).await.map(tonic::Response::into_inner)
}

/// Returns the next response of a watch.
pub async fn next(watch: &mut Watch) -> Result<WatchEventsResponse, Status> {
    let response = tokio::time::timeout(PATIENCE, watch.message()).await.expect("in time");
    response.map(|response| response.expect("a watch ends with a status"))
}

/// Returns the next event of a watch, and the cursor after it.
pub async fn next_event(watch: &mut Watch) -> (Event, String) {
    loop {
        let response = next(watch).await.expect("the watch goes on");
        if let Some(event) = response.event {
            return (event, response.cursor);
        }
    }
}

/// Lists pages until there are no more events. Returns the events and the cursor after them.
pub async fn list_all(events: &mut Events, request: ListEventsRequest) -> (Vec<Event>, String) {
    let (mut all, mut cursor) = (Vec::new(), request.cursor.clone());
    loop {
        let page = ListEventsRequest { cursor: cursor.clone(), ..request.clone() };
        let ListEventsResponse { events, next_cursor } =
            events.list_events(page).await.expect("listed").into_inner();
        if events.is_empty() {
            return (all, next_cursor);
        }
        all.extend(events);
        cursor = next_cursor;
    }
}

/// Lists pages until there are this many events.
pub async fn list_until(events: &mut Events, count: usize) -> Vec<Event> {
    let listed = async {
        loop {
            let request = ListEventsRequest { page_size: 1000, ..Default::default() };
            let (all, _) = list_all(events, request).await;
            if all.len() >= count {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listed).await.expect("in time")
}

/// Returns the number that [`write_event`] put into an event.
pub fn version(event: &Event) -> i64 {
    match event.data.as_ref().and_then(|data| data.data.as_ref()) {
        Some(event_data::Data::AccountChanged(changed)) => changed.version,
        other => panic!("not of ours: {other:?}"),
    }
}

const WRITE: &str = "
    INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
    VALUES ($1, $2, $3, $4, 'activation.account.changed', $5)";

/// Writes an event into the outbox, in the current transaction of the connection.
pub async fn write_event(connection: &mut PgConnection, account_id: i64, time: Time, version: i64) {
    let data = event_data::Data::AccountChanged(AccountChanged { version });
    sqlx::query(WRITE)
        .bind(account_id)
        .bind(new_id())
        .bind(lane(AccountId::new(account_id).expect("positive")))
        .bind(time)
        .bind(EventData { data: Some(data) }.encode_to_vec())
        .execute(connection)
        .await
        .expect("written");
}

/// Writes `count` events of one account in one statement.
pub async fn write_many(api: &Api, account_id: i64, count: i64) {
    let mut connection = api.database.connect().await;
    sqlx::query(
        "INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
         SELECT $1, md5($1::text || n)::uuid, $2, $3 + n * interval '1 microsecond',
            'activation.account.changed', decode('3a00', 'hex')
         FROM generate_series(1, $4) AS numbers (n)",
    )
    .bind(account_id)
    .bind(lane(AccountId::new(account_id).expect("positive")))
    .bind(api.clock.wire_now())
    .bind(count)
    .execute(&mut connection)
    .await
    .expect("written");
}

/// Waits until a count has this value.
pub async fn until_count(api: &Api, statement: &'static str, count: i64) {
    let counted = async {
        while api.database.count(statement).await != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("in time");
}

/// Returns the value of a metric; `None` if it is absent.
pub async fn metric(api: &Api, name: &str) -> Option<u64> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut ops = tokio::net::TcpStream::connect(api.addresses.ops).await.expect("it listens");
    let get = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    ops.write_all(get).await.expect("sent");
    let mut text = String::new();
    ops.read_to_string(&mut text).await.expect("answered");
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Returns the metric of watches that ended with a code.
pub fn handled(code: &str) -> String {
    format!(
        "grpc_server_handled_total{{grpc_type=\"server_stream\",grpc_service=\"activation.operator.v1.EventService\",\
         grpc_method=\"WatchEvents\",grpc_code=\"{code}\"}}"
    )
}
