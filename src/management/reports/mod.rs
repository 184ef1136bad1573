//! Reports: how things stand, over all records. They change nothing unless asked to forget, and show no secret. What reads
//! everything says so: with many records it takes seconds, and who is asked often answers from an
//! [`overview`](super::overview).

mod dates;
mod enrolled;
mod inventory;
mod rotation;
mod stock;
pub(super) mod subjects;
mod usage;

pub use dates::{Day, Hit, Seen, Use, days};
pub use enrolled::{Enrolled, WeakTls, enrolled, weak_tls};
pub use inventory::{InventoryRow, inventory, inventory_of};
pub use rotation::{Before, Coming, Replaced, RotationReport, Shown, rotation};
pub use stock::{Stock, Whole};
pub use subjects::typed;
pub use usage::{UsageFilter, all_usage, forget, usage};
