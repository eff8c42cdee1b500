//! The limits of a listener for peers that are silent, do not read, send a lot, or stay connected.
//! Other peers are served in the meantime.

mod answers;
mod crowds;
mod heads;
mod times;
mod tokenless;
mod windows;

use crate::support::{Api, eventually};

/// Waits until at least this number of connections of a listener has ended for this reason.
async fn ended(api: &Api, listener: &str, reason: &str, least: f64) {
    let name = format!(r#"connections_ended_total{{listener="{listener}",reason="{reason}"}}"#);
    let what = format!("{least} connections of {listener} end: {reason}");
    eventually(&what, async || api.metric(&name).await.is_some_and(|count| count >= least)).await;
}

/// Returns how many answers of a listener had this code.
async fn answers(api: &Api, listener: &str, code: &str) -> f64 {
    let name = format!(r#"answers_total{{listener="{listener}",code="{code}"}}"#);
    api.metric(&name).await.unwrap_or_default()
}
