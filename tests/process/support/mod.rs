//! What the tests share: the program in a folder of its own ([`Home`], [`Served`]), a provider for it ([`Provider`]), a
//! mail client ([`Wire`]) and the search for secrets ([`Canaries`]).

mod api;
mod canaries;
mod dump;
mod locum;
mod provider;
mod wire;

use std::time::Duration;

pub(crate) use api::{ask, escaped};
pub(crate) use canaries::Canaries;
pub(crate) use dump::{Leak, leaks};
pub(crate) use locum::{Home, Run, Served, finish};
pub(crate) use provider::{Provider, Quoting, trusted};
pub(crate) use wire::Wire;

/// Anything that is waited for is there long before, unless it never comes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
