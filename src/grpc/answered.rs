//! How the layers tell the connection of a call until when its answer must have been taken: through
//! the task that runs the call. The connection's own code runs that task, and learns only this
//! from it.

use std::cell::Cell;

use tokio::time::Instant;

tokio::task_local! {
    static UNTIL: Cell<Option<Instant>>;
}

/// The call is answered, and what it answers must end by then. Elsewhere than on a connection it
/// says nothing.
pub(super) fn until(deadline: Instant) {
    UNTIL.try_with(|until| until.set(Some(deadline))).ok();
}

/// Runs a step of a call; with the deadline where it was answered in this step.
pub fn noting<T>(step: impl FnOnce() -> T) -> (T, Option<Instant>) {
    UNTIL.sync_scope(Cell::new(None), || {
        let done = step();
        (done, UNTIL.with(Cell::take))
    })
}
