//! The way of events to followers: the outbox, the numbering, the log and its generations, and the
//! notification.

mod generations;
mod listen;
mod log;
pub(super) mod numbering;
pub(super) mod outbox;

pub use generations::{BegunGeneration, Generation};
pub use listen::EventListener;
pub use log::{Lane, LogPage, LoggedEvent};
pub use numbering::NumberingRound;
