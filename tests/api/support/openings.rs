//! Openings that are made one after the other while a test does something else.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::rest::Key;
use super::{Api, eventually};

const OPEN: &str = "Action=OpenCdnService&InternetChargeType=PayByTraffic";

/// A task that makes accounts and opens CDN for each.
pub struct Openings {
    opened: Arc<Mutex<Vec<Key>>>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Openings {
    /// Starts the task.
    pub fn start(api: Arc<Api>) -> Self {
        let (opened, end) = (Arc::<Mutex<Vec<Key>>>::default(), CancellationToken::new());
        let (acknowledged, ended) = (Arc::clone(&opened), end.clone());
        let task = tokio::spawn(async move {
            while !ended.is_cancelled() {
                let key = api.account().await;
                api.get(&key, OPEN).await.succeeded();
                acknowledged.lock().expect("not poisoned").push(key);
            }
        });
        Self { opened, end, task }
    }

    /// Returns the keys of the accounts whose opening was acknowledged.
    pub fn acknowledged(&self) -> Vec<Key> {
        self.opened.lock().expect("not poisoned").clone()
    }

    /// Waits until this many more openings are acknowledged.
    pub async fn more(&self, count: usize) {
        let enough = self.acknowledged().len() + count;
        eventually("openings are acknowledged", async || {
            assert!(!self.task.is_finished(), "an opening failed");
            self.acknowledged().len() >= enough
        })
        .await;
    }

    /// Ends the task. No call has failed.
    pub async fn end(self) {
        self.end.cancel();
        self.task.await.expect("no call failed");
    }
}
