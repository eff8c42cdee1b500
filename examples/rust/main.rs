//! A client of cdn-activation in Rust: retries, deadlines, the account, and events that are followed
//! across restarts.

use std::env;
use std::error::Error;
use std::fs;
use std::time::Duration;

use cdn_activation::client::{ActivationClient, ClientSettings};
use cdn_activation::domain::AccountId;
use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest;
use cdn_activation::proto::events::v1::Event;
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::operator::v1::{LockRequest, UnlockRequest, WatchEventsRequest};
use tokio::time::timeout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (addresses, account_id) =
        arguments.next().zip(arguments.next()).ok_or("ADDRESS ACCOUNT")?;
    let account_id = AccountId::parse(&account_id).ok_or("not an account")?;
    #[expect(clippy::disallowed_methods, reason = "the program reads its settings in another way")]
    let variable = |name| env::var(name).map_err(|_| format!("{name} is not set"));
    let settings = ClientSettings {
        token_file: Some(variable("TOKEN_FILE")?.into()), // read again when it changes
        ..ClientSettings::to(addresses.split(',').map(|address| format!("http://{address}")))
    };
    let client = ActivationClient::new(settings)?;

    let status = client.of_account(account_id).call(DescribeUserCdnStatusRequest {}).await?;
    println!("status enabled={}", status.enabled);

    // The client gives each write an id, and repeats the write with it.
    let (reason, product) = (variable("REASON")?, Product::Cdn.into());
    let lock = LockRequest {
        account_id: account_id.get(),
        product,
        reason: reason.clone(),
        ..Default::default()
    };
    let locked = client.call(lock).await?.operation_lock.ok_or("no lock")?;
    println!("locked {}", locked.reason);
    let unlock =
        UnlockRequest { account_id: account_id.get(), product, reason, ..Default::default() };
    println!("lifted {}", client.call(unlock).await?.lifted);

    let cursor_file = variable("CURSOR_FILE")?;
    let count = variable("EVENTS").map_or(Ok(0), |text| text.parse::<u64>())?;
    let mut left = if count == 0 { u64::MAX } else { count };
    let cursor = fs::read_to_string(&cursor_file).unwrap_or_default();
    let request = WatchEventsRequest { cursor, account_id: account_id.get(), from_now: false };
    let mut events = client.follow(request);
    loop {
        // The cursor moves without events, too. It is stored sometimes, so that it does not expire.
        if let Ok(next) = timeout(Duration::from_mins(1), events.next()).await {
            // An error is one that waiting does not change, such as CursorExpired: read the state
            // anew, then start with an empty cursor.
            show(next?.event);
            left -= 1;
        }
        fs::write(format!("{cursor_file}.new"), events.cursor())?;
        fs::rename(format!("{cursor_file}.new"), &cursor_file)?;
        if left == 0 {
            return Ok(());
        }
    }
}

fn show(event: Event) {
    let reason = match event.data.and_then(|data| data.data) {
        Some(Data::OperationUnlocked(unlocked)) => unlocked.reason,
        _ => String::new(),
    };
    println!("event {} {} {reason}", event.id, event.r#type);
}
