//! Message submission up to the login (RFC 6409; ESMTP with STARTTLS, RFC 3207, and AUTH, RFC 4954). It must never take or
//! pass on a message: MAIL, RCPT and DATA are refused here, and relayed once both sides are logged in. The one MAIL
//! that is kept is that of a device which may be recognised without a login; it goes upstream if it is, and is refused if not.
//!
//! - [`Server`] faces the mail client: devices that greet with HELO, with no name or an impossible one, that send the
//!   user name inside `AUTH LOGIN`, or end their lines with a bare LF.
//! - [`Client`] faces the provider: Exchange Online, which offers no PLAIN, and everybody else.
//! - [`watch`]: the look behind the login, where a policy or a pace asks for one.
//! - `xclient`: what a trusted front end says about its client.
//! - `shared_keywords` says which EHLO keywords a listener may show before it knows which provider it will be.

mod client;
mod keywords;
mod reply;
mod server;
pub mod watch;
mod xclient;

pub use client::Client;
pub use server::Server;

pub(super) use keywords::shared_keywords;

/// The longest SASL message in base64 that a server must take (RFC 4954 section 4).
const BASE64_BYTES_MAX: usize = 12_288;

/// The longest command that a client may send, its line end included (RFC 5321 section 4.5.3.1.4).
const COMMAND_BYTES_MAX: usize = 512;
