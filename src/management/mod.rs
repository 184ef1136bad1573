//! Floor 3: management: what operators do with accounts, clients, tenants and operators. Each use case is one function that
//! takes what was asked for as a type and returns what came of it as a type; the command line, the HTTP API and the console
//! say it in their own words and decide nothing themselves. It must never print, prompt, or know of HTTP.
//!
//! - [`Desk`]: what an operator works with. [`ManagementError`]: why something was not done, with whose [`Fault`] that is.
//! - [`accounts`], [`tenants`]: mailboxes and domains, and the credentials for them. [`credentials`]: what is shown of these.
//! - [`rotation`]: how one credential takes the place of another. [`probe`]: whether mailboxes open.
//! - [`Operations`]: long work that nobody waits for. [`Paging`], [`Page`]: lists in parts. [`operators`]: who may sign in over
//!   HTTP, and to what.

pub mod accounts;
mod audit;
pub mod credentials;
mod desk;
mod error;
mod given;
mod operations;
mod operator_token;
pub mod operators;
mod page;
pub mod probe;
pub mod rotation;
mod sessions;
pub mod tenants;

pub use audit::{AuditPage, AuditQuery, search_audit, verify_audit};
pub use desk::Desk;
pub use error::{Fault, ManagementError};
pub use given::{GivenSecret, check_domain, check_label, check_name};
pub use operations::{
    Operation, OperationKind, OperationProblem, OperationProgress, OperationState, Operations, Spawner,
};
pub use page::{Damaged, Page, Paging};
pub use sessions::{
    Closed, Line, NewTrace, SessionItem, SessionQuery, Trace, begin_trace, close_session, close_sessions, end_trace,
    list_sessions, list_traces, read_trace,
};
