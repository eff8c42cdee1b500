//! What a listener bears: peers that are silent, do not read, send much, or stay for ever. Each is held
//! to a bound, and others are served meanwhile.

mod answers;
mod crowds;
mod heads;
mod times;
mod tokenless;
mod windows;

use crate::support::{Api, eventually};

/// Waits until so many connections of a listener have ended for this reason.
async fn ended(api: &Api, listener: &str, reason: &str, least: f64) {
    let name = format!(r#"connections_ended_total{{listener="{listener}",reason="{reason}"}}"#);
    let what = format!("{least} of {listener} ended: {reason}");
    eventually(&what, async || api.metric(&name).await.is_some_and(|count| count >= least)).await;
}

/// How many answers of a listener had this code.
async fn answers(api: &Api, listener: &str, code: &str) -> f64 {
    let name = format!(r#"answers_total{{listener="{listener}",code="{code}"}}"#);
    api.metric(&name).await.unwrap_or_default()
}
