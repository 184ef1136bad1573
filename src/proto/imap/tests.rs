//! Both sides of IMAP: transcripts, one against the other, limits, and any bytes at all.

mod client;
mod pair;
mod properties;
mod server;
mod transcript;

use crate::model::{Mechanism, Secret};
use crate::proto::{ClientLimits, ClientOptions, Goal, ServerLimits, ServerOptions, ServerTls};
use crate::sasl::Credentials;

fn server_options(tls: ServerTls) -> ServerOptions {
    ServerOptions {
        name: "mail.example.com".into(),
        tls,
        plaintext_login: false,
        keywords: Vec::new(),
        limits: ServerLimits::default(),
    }
}

fn client_options(starttls: bool) -> ClientOptions {
    ClientOptions { starttls, name: "locum.example.com".into(), limits: ClientLimits::default() }
}

fn log_in(identity: &str, password: &[u8], mechanisms: &[Mechanism]) -> Goal {
    let credentials = Credentials { identity: identity.into(), secret: Secret::new(password) };
    Goal::LogIn { credentials, mechanisms: mechanisms.to_vec() }
}
