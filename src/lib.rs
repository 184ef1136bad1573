//! Locum stands between mail clients that cannot change and mail providers that do.
//!
//! A client logs in over IMAP, POP3 or submission with the login and password it has always had. Locum proves who it
//! is, takes the credential that the provider wants today from a store, logs in upstream with it, and relays bytes.
//!
//! The crate is one house of five floors; imports point down only (`docs/architecture.md`, `tests/guards/layers.rs`):
//!
//! | floor | rooms |
//! |---|---|
//! | 4 surfaces | [`cli`], [`app`], [`admin`], [`config`] |
//! | 3 use cases | [`session`], [`rotation`], [`enrolment`], [`management`], [`broker`], [`upstream`] |
//! | 2 edges | [`net`], [`store`], [`credential`], [`audit`], [`telemetry`], [`usage`], [`sandbox`] |
//! | 1 pure | [`proto`], [`sasl`] |
//! | 0 nouns | [`model`] |
//!
//! The library exists for the `locum` binary and its tests; its Rust interface is not a stable one.

pub mod model;

pub mod proto;
pub mod sasl;

pub mod audit;
pub mod credential;
pub mod net;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod usage;

pub mod broker;
pub mod enrolment;
pub mod management;
pub mod rotation;
pub mod session;
pub mod upstream;

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
