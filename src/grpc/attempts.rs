//! The loop of every action that reads facts, decides, and writes its decision. The write names the
//! versions of the facts that were read, so it writes nothing if another write has changed them.
//! Then the loop begins again.

use crate::error::{Cause, Error};

/// Largest number of attempts of one request, if other writes change the facts each time.
const ATTEMPTS: u32 = 16;

/// What is known about the earlier attempts of the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// None of them wrote anything.
    WroteNothing,
    /// One of them may have written, or its write may still wait in the database. If that write
    /// takes effect, the facts of this attempt show it, or this attempt cannot write.
    Unknown,
}

/// Repeats an attempt until it returns a value. An attempt reads, decides and writes; it returns
/// `None` if it wrote nothing because the facts have changed.
///
/// An attempt whose outcome is unknown is repeated, too. If a later attempt is refused, the refusal
/// is the answer: the change that caused the refusal also makes the unknown write fail. There are
/// two exceptions, in which the outcome stays unknown: the later attempt fails with a fault, or the
/// unknown write itself may have caused the refusal.
pub(super) async fn attempts<T, F>(attempt: impl Fn(Earlier) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    let mut unknown = None;
    for _ in 0..ATTEMPTS {
        let earlier = if unknown.is_some() { Earlier::Unknown } else { Earlier::WroteNothing };
        match attempt(earlier).await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(Error::OutcomeUnknown(cause)) => unknown = Some(cause),
            Err(error) => return Err(still_unknown(unknown, error)),
        }
    }
    Err(still_unknown(unknown, Error::Contended))
}

/// Returns the error of a request that fails after a write whose outcome is `unknown`.
fn still_unknown(unknown: Option<Cause>, error: Error) -> Error {
    // If the unknown write was an update, it has changed the etag; if it was a deletion, the key
    // does not exist any more.
    let may_be_caused_by_it = matches!(error, Error::EtagMismatch | Error::UnknownAccessKey);
    match unknown {
        Some(cause) if error.is_our_fault() || may_be_caused_by_it => Error::OutcomeUnknown(cause),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The outcome of an attempt. It is a function because an error cannot be cloned.
    type Outcome = fn() -> Result<Option<u32>, Error>;

    /// Runs the loop with these outcomes of its attempts; the last one repeats.
    async fn run(outcomes: &[Outcome]) -> (Result<u32, Error>, usize) {
        let count = Cell::new(0);
        let outcome = attempts(async |earlier| {
            let number = count.get();
            count.set(number + 1);
            let was_unknown = outcomes[..number.min(outcomes.len())]
                .iter()
                .any(|outcome| matches!(outcome(), Err(Error::OutcomeUnknown(_))));
            assert_eq!(earlier == Earlier::Unknown, was_unknown);
            outcomes[number.min(outcomes.len() - 1)]()
        });
        (outcome.await, count.get())
    }

    const NOTHING: Outcome = || Ok(None);
    const WRITTEN: Outcome = || Ok(Some(7));
    const UNKNOWN: Outcome = || Err(Error::outcome_unknown("cut off"));

    #[tokio::test]
    async fn an_attempt_that_wrote_nothing_or_is_unknown_is_repeated() {
        let (outcome, count) = run(&[NOTHING, UNKNOWN, NOTHING, WRITTEN]).await;
        assert_eq!((outcome.unwrap(), count), (7, 4));
        let (outcome, count) = run(&[NOTHING]).await;
        assert!(matches!(outcome, Err(Error::Contended)) && count == 16, "{count}");
        let (outcome, _) = run(&[UNKNOWN, NOTHING]).await;
        assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))));
    }

    #[tokio::test]
    async fn after_an_unknown_outcome_a_refusal_is_returned_and_a_fault_stays_unknown() {
        let (outcome, _) = run(&[UNKNOWN, || Err(Error::AccountNotFound)]).await;
        assert!(matches!(outcome, Err(Error::AccountNotFound)));
        let causes: [Outcome; 3] = [
            || Err(Error::unavailable("no connection")),
            || Err(Error::EtagMismatch),
            || Err(Error::UnknownAccessKey),
        ];
        for cause in causes {
            let (outcome, count) = run(&[UNKNOWN, cause]).await;
            assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))) && count == 2);
            let (outcome, count) = run(&[NOTHING, cause]).await;
            assert!(!matches!(outcome, Err(Error::OutcomeUnknown(_))) && count == 2);
        }
    }
}
