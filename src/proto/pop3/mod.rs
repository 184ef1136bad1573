//! POP3 before login (RFC 1939; CAPA, RFC 2449; STLS, RFC 2595; AUTH, RFC 5034): the AUTHORIZATION state and nothing
//! else. It must never answer a command about messages: those belong to the provider.
//!
//! - [`Server`] faces the mail client.
//! - [`Client`] faces the provider: SASL in two lines, as Exchange Online insists, or USER and PASS.
//! - `shared_keywords` says which capabilities a listener may show before it knows which provider it will be.

mod capabilities;
mod client;
mod server;

pub use client::Client;
pub use server::Server;

pub(super) use capabilities::shared_keywords;
