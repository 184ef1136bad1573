//! Floor 3: management: what operators do with accounts, clients, tenants and operators. Each use case is one function that
//! takes what was asked for as a type and returns what came of it as a type; the command line, the HTTP API and the console
//! say it in their own words and decide nothing themselves. It must never print, prompt, or know of HTTP.
//!
//! - [`Desk`]: what an operator works with. [`ManagementError`]: why something was not done, with whose [`Fault`] that is.
//! - [`Paging`], [`Page`]: lists in parts. [`operators`]: who may sign in over HTTP, and to what.

mod desk;
mod error;
mod operator_token;
pub mod operators;
mod page;

pub use desk::Desk;
pub use error::{Fault, ManagementError};
pub use page::{Damaged, Page, Paging};
