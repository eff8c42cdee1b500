//! Step 5: decisions. They are pure functions of facts: nothing here waits, reads, sends, or reads
//! a clock.

pub mod account;
pub mod bill_type;
pub mod charge_type;
pub mod event;
pub mod identity;
pub mod instance;
pub mod modifying;
pub mod opening;
pub mod policy;
pub mod refusal;
pub mod scheduling;
pub mod stars;
pub mod time;
pub mod timeline;

pub use account::{Account, AccountId, Facts, Product, Profile, Site};
pub use charge_type::{Charge, ChargeKind, ChargeType, Requested, WebsocketChargeType};
pub use identity::{CallRate, Grants, Identity};
pub use instance::Instance;
pub use refusal::Refusal;
pub use time::Time;
pub use timeline::{Change, Timeline};
