//! msmtp, a sendmail that speaks submission. It asks a command for the password.

use std::process::Command;

use super::Outgoing;
use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::mail;
use crate::programs;
use crate::scratch::Scratch;

/// Submits a message with the mechanism that is named (`plain`, `login`).
pub(crate) fn submit(endpoint: &Endpoint, mechanism: &str, mail: &Outgoing<'_>) {
    let scratch = Scratch::new();
    let password = scratch.write_secret("password", format!("{}\n", endpoint.password));
    let (tls, starttls) = match endpoint.tls {
        Tls::Implicit => ("on", "off"),
        Tls::Starttls => ("on", "on"),
        Tls::Plain => ("off", "off"),
    };
    let config = scratch.write_secret(
        "msmtprc",
        format!(
            "account default\nhost {}\nport {}\nfrom {}\nauth {mechanism}\nuser {}\npasswordeval cat {}\ntls {tls}\n\
             tls_starttls {starttls}\ntls_trust_file {}\ntimeout 20\n",
            endpoint.host,
            endpoint.port,
            mail.from,
            endpoint.user,
            password.display(),
            endpoint.authority.display(),
        ),
    );
    // A message comes to a sendmail with the line ends of a file.
    let text = mail::with_lf(mail.message);
    child::run_well(Command::new(programs::find("msmtp")).arg("--file").arg(config).arg("--").arg(mail.to), &text);
}
