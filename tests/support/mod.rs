//! What tests of the whole broker share: Locum in this process behind real sockets, with providers before it and clients
//! at its doors. Nothing here decides whether a test passes.
//!
//! A test target takes it in with `#[path = "../support/mod.rs"] mod support;`.
//!
//! - [`Plan`] and [`Lab`]: Locum with its configuration, records and two look-alike providers, running until dropped.
//! - [`Node`] and [`Doors`]: one Locum, of which a lab may have several, and the ways in.
//! - [`Wire`]: a client of raw lines.
//! - [`Api`]: a client of the HTTP API.
//! - [`Fake`]: a provider that follows a script, friendly or hostile, and keeps what it was told.

mod api;
mod certificates;
mod doors;
mod fake;
mod lab;
mod provider;
mod rsa;
mod wire;

pub(crate) use api::{Answer, Api, exchange};
pub(crate) use certificates::Identity;
pub(crate) use doors::{Door, Doors, Node, present};
pub(crate) use fake::{Fake, Step, reveals};
pub(crate) use lab::{Actor, Lab, Plan, credential, next, previous};
pub(crate) use provider::Provider;
pub(crate) use rsa::RSA;
pub(crate) use wire::{Wire, base64, plain};
