//! Tells the connection of a call until when the client must have taken the answer. The layers tell
//! the task that runs the call, and the code of the connection, which runs this task, reads it from
//! there.

use std::cell::Cell;

use tokio::time::Instant;

tokio::task_local! {
    static UNTIL: Cell<Option<Instant>>;
}

/// Records that the call is answered and that its answer must have been sent by this instant.
/// Outside a connection, this has no effect.
pub(super) fn until(deadline: Instant) {
    UNTIL.try_with(|until| until.set(Some(deadline))).ok();
}

/// Runs a step of a call. Returns the recorded instant, too, if the call was answered in this step.
pub fn noting<T>(step: impl FnOnce() -> T) -> (T, Option<Instant>) {
    UNTIL.sync_scope(Cell::new(None), || {
        let done = step();
        (done, UNTIL.with(Cell::take))
    })
}
