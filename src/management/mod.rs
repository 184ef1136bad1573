//! Floor 3: management: what operators do with accounts, clients, tenants and operators. Each use case is one function that
//! takes what was asked for as a type and returns what came of it as a type; the command line, the HTTP API and the console
//! say it in their own words and decide nothing themselves. It must never print, prompt, or know of HTTP.
//!
//! - [`clients`]: login names and what proves them. [`reports`]: how things stand, over all records. [`overview`]: the same in
//!   one look.
//! - [`Desk`]: what an operator works with. [`ManagementError`]: why something was not done, with whose [`Fault`] that is.
//! - [`Paging`], [`Page`]: lists in parts. [`operators`]: who may sign in over HTTP, and to what.

pub mod clients;
mod damaged;
mod desk;
mod error;
mod given;
pub mod import;
mod names;
mod operator_token;
pub mod operators;
pub mod overview;
mod page;
pub mod reports;

pub use damaged::{remove_damaged, was_damaged};
pub use desk::Desk;
pub use error::{Fault, ManagementError};
pub use given::{GivenSecret, check_domain, check_label, check_name};
pub use names::check_new_name;
pub use page::{Damaged, Page, Paging};
