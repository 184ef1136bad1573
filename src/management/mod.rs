//! Floor 3: management: what operators do with accounts, clients, tenants and operators. Each use case is one function that
//! takes what was asked for as a type and returns what came of it as a type; the command line, the HTTP API and the console
//! say it in their own words and decide nothing themselves. It must never print, prompt, or know of HTTP.
//!
//! - [`Desk`]: what an operator works with. [`ManagementError`]: why something was not done, with whose [`Fault`] that is.
//! - [`accounts`], [`tenants`]: mailboxes and domains, and the credentials for them. [`credentials`]: what is shown of these.
//! - [`clients`]: login names and what proves them. [`operators`]: who may sign in over HTTP, and to what.
//! - [`rotation`]: how one credential takes the place of another. [`probe`]: whether mailboxes open.
//! - [`audit`]: what happened. [`sessions`]: who is in, and what is said before login.
//! - [`reports`]: how things stand, over all records. [`overview`]: the same in one look.
//! - [`Operations`]: long work that nobody waits for. [`import`]: many records at once. [`Paging`], [`Page`]: lists in parts.

pub mod accounts;
pub mod audit;
pub mod clients;
pub mod credentials;
mod damaged;
mod desk;
mod error;
mod given;
pub mod import;
mod names;
mod operations;
mod operator_token;
pub mod operators;
pub mod overview;
mod page;
pub mod probe;
pub mod reports;
pub mod rotation;
pub mod sessions;
pub mod tenants;

pub use damaged::{remove_damaged, was_damaged};
pub use desk::Desk;
pub use error::{Fault, ManagementError};
pub use given::{GivenSecret, check_domain, check_label, check_name};
pub use names::check_new_name;
pub use operations::{
    Operation, OperationKind, OperationProblem, OperationProgress, OperationState, Operations, Spawner,
};
pub use page::{Damaged, Page, Paging};
