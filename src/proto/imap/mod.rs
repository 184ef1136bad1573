//! IMAP before login (RFC 3501, RFC 9051), both sides: [`Server`] faces a mail client, [`Client`] faces a provider.
//!
//! Nothing here reads or writes a mailbox: after login the session is a relay, and what IMAP says then is none of
//! Locum's business.

mod client;
mod command;
mod literal;
mod reply;
mod server;

pub use client::Client;
pub use server::Server;

use crate::model::Mechanism;

/// What an exchange by this mechanism is called, for the operator and the audit.
fn authenticate_by(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "AUTHENTICATE PLAIN",
        Mechanism::Login => "AUTHENTICATE LOGIN",
        Mechanism::Xoauth2 => "AUTHENTICATE XOAUTH2",
        Mechanism::Oauthbearer => "AUTHENTICATE OAUTHBEARER",
    }
}

#[cfg(test)]
mod tests;
