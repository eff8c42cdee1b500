//! Tests of batches. They need no database, because their statements are functions.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::storage::StoreOptions;

type Doubler = Batcher<usize, usize>;

/// A store that never connects.
fn store() -> Store {
    let url = "postgres:///nowhere".parse().unwrap();
    Store::connect_lazily(&StoreOptions::new(url, 1))
}

fn double(asked: Vec<Asked<usize, usize>>) {
    for asked in asked {
        let doubled = asked.question * 2;
        asked.answer(Ok(doubled));
    }
}

/// A batcher that records how many questions each of its statements had.
struct Noted {
    batcher: Doubler,
    store: Store,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Noted {
    fn new() -> Self {
        Self {
            batcher: Doubler::new("doubles", ["SELECT", "numbers"], 64),
            store: store(),
            sizes: Arc::default(),
        }
    }

    async fn ask(&self, question: usize) -> Result<usize, Error> {
        let sizes = Arc::clone(&self.sizes);
        let statement = move |_, asked: Vec<_>| {
            sizes.lock().unwrap().push(asked.len());
            async move { double(asked) }
        };
        self.batcher.ask(question, &self.store, statement).await
    }

    /// Asks all of these questions at once and returns the answers.
    async fn ask_all(&self, questions: std::ops::Range<usize>) -> Vec<usize> {
        let asking = questions.map(|question| self.ask(question));
        join_all(asking).await.into_iter().map(Result::unwrap).collect()
    }

    /// Returns how many questions each statement had since the last call.
    fn sizes(&self) -> Vec<usize> {
        std::mem::take(&mut self.sizes.lock().unwrap())
    }
}

#[tokio::test]
async fn concurrent_callers_share_a_statement_and_each_gets_its_own_answer() {
    let noted = Noted::new();
    let expected: Vec<_> = (0..150).map(|question| question * 2).collect();
    assert_eq!(noted.ask_all(0..150).await, expected);
    assert_eq!(noted.sizes(), [64, 64, 22]);
    assert_eq!((noted.ask_all(7..8).await, noted.sizes()), (vec![14], vec![1]));
}

#[tokio::test]
async fn a_statement_starts_when_a_turn_of_the_runtime_brings_no_question() {
    let noted = Noted::new();
    let ask_after = async |turns| {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        noted.ask(turns).await.unwrap()
    };
    // Each of the first turns brings one question, the next two bring none, and the last brings
    // one.
    let all = join_all([0, 1, 2, 3, 4, 7].map(ask_after)).await;
    assert_eq!((all, noted.sizes()), (vec![0, 2, 4, 6, 8, 14], vec![5, 1]));
}

#[tokio::test]
async fn a_late_statement_does_not_hold_up_the_next_ones() {
    let (batcher, store) = (Doubler::new("doubles", ["SELECT", "numbers"], 64), store());
    let (gate, sizes) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let ask = |question| {
        let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
        batcher.ask(question, &store, move |_, asked| {
            sizes.lock().unwrap().push(asked.len());
            let gate = Arc::clone(&gate);
            async move {
                if asked[0].question == 0 {
                    gate.notified().await;
                }
                double(asked);
            }
        })
    };
    let others = async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await; // the first statement has started and is not late yet
        let (first, second) = tokio::join!(ask(1), ask(2));
        // Now the driver only waits for the late statement.
        let third = ask(3).await;
        gate.notify_one();
        [first, second, third].map(Result::unwrap)
    };
    let (late, others) = tokio::join!(ask(0), others);
    assert_eq!((late.unwrap(), others), (0, [2, 4, 6]));
    assert_eq!(
        *sizes.lock().unwrap(),
        [1, 2, 1],
        "the two questions that waited share a statement"
    );
}

#[tokio::test]
async fn a_caller_that_disconnects_while_queued_is_skipped() {
    let noted = Noted::new();
    // The future is dropped after it has enqueued its question and before the driver has run.
    assert!(noted.ask(1).now_or_never().is_none());
    assert_eq!((noted.ask_all(0..3).await, noted.sizes()), (vec![0, 2, 4], vec![3]));
}

#[tokio::test]
async fn a_full_queue_refuses_the_caller() {
    let (batcher, store) = (Doubler::new("doubles", ["SELECT", "numbers"], 64), store());
    let ask = |question| batcher.ask(question, &store, async |_, asked| double(asked));
    let answers = join_all((0..=MOST_WAITING).map(ask)).await;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Unavailable(_))));
    assert_eq!(refused.count(), 1);
    assert!(ask(5).await.is_ok());
}

#[tokio::test]
async fn a_statement_that_panics_or_forgets_a_caller_affects_its_own_callers_only() {
    let (batcher, store) = (Doubler::new("doubles", ["SELECT", "numbers"], 64), store());
    let forgetful = async |_: Store, mut asked: Vec<Asked<usize, usize>>| {
        assert!(asked[0].question != 0, "panics");
        asked.truncate(1);
        double(asked);
    };
    let ask = |question| batcher.ask(question, &store, forgetful);
    assert!(matches!(ask(0).await, Err(Error::Internal(_))));
    let (first, second) = tokio::join!(ask(1), ask(2));
    assert!(first.is_ok() && matches!(second, Err(Error::Internal(_))));
}
