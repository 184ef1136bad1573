//! Both sides of IMAP: limits, states, and one side against the other where it must do without its mechanisms.

mod client;
mod pair;
mod server;

use crate::model::{CredentialKind, Mechanism, Secret};
use crate::proto::{ClientLimits, ClientOptions, Goal, ServerLimits, ServerOptions, ServerTls};
use crate::sasl::Credentials;

fn server_options(tls: ServerTls) -> ServerOptions {
    ServerOptions {
        name: "mail.example.com".into(),
        tls,
        plaintext_login: false,
        takes_xclient: false,
        recognises: false,
        keywords: Vec::new(),
        limits: ServerLimits::default(),
    }
}

fn client_options(starttls: bool) -> ClientOptions {
    ClientOptions { starttls, name: "locum.example.com".into(), limits: ClientLimits::default() }
}

fn log_in(identity: &str, password: &[u8], mechanisms: &[Mechanism]) -> Goal {
    let (identity, secret) = (identity.to_owned(), Secret::new(password));
    let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
    Goal::LogIn { credentials, mechanisms: mechanisms.to_vec() }
}
