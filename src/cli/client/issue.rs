//! `locum client issue`.

use std::time::Duration;

use anyhow::Result;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{parse_network, parse_time};
use crate::broker::client_secret::Alphabet;
use crate::cli::output;
use crate::management::Desk;
use crate::management::clients::{self, Handed, Issued, TTL_MAX, TTL_MIN, Weakness};
use crate::model::Protocol;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Issue {
    /// The login name that the client uses.
    login: String,
    /// The account that it acts as; may be given again for others.
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Let the client have several accounts; it must then name one at each login, which only SASL PLAIN can.
    #[arg(long)]
    several: bool,
    /// What to call this secret.
    #[arg(long, default_value = "")]
    label: String,
    /// When this secret expires, as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<Timestamp>,
    /// How many characters it has, for a device whose field is short; those of the id count. Without it, as many as are
    /// good.
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// Which characters it is made of, for a device whose field is picky: default, letters, digits, alphanumeric or lower.
    #[arg(long, value_name = "ALPHABET", default_value = "default")]
    alphabet: Alphabet,
    /// Leave the secret with the server of the store, a Vault, and print a token that takes it out, once, within this time,
    /// such as 8h.
    #[arg(long, value_name = "TTL", value_parser = parse_ttl)]
    wrap: Option<Duration>,
    /// A protocol that the client may use; without any, all.
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<Protocol>,
    /// A listener that the client may come through; without any, all.
    #[arg(long = "listener", value_name = "NAME")]
    listeners: Vec<String>,
    /// A network that the client may come from; without any, all.
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
    networks: Vec<IpNet>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, issue: Issue) -> Result<()> {
    let Issue {
        login,
        accounts,
        several,
        label,
        expires,
        length,
        alphabet,
        wrap,
        protocols,
        listeners,
        networks,
        json,
    } = issue;
    let wrap_ttl = wrap.map(|ttl| ttl.as_secs());
    let wish = clients::Issue {
        accounts,
        several,
        label,
        expires,
        length,
        alphabet,
        wrap_ttl,
        protocols,
        listeners,
        networks,
    };
    let issued = clients::issue(desk, &login, wish).await?;
    if let Some(weakness) = &issued.weakness {
        warn_of(weakness);
    }
    if json {
        output::once(issued.once().expose_text().unwrap_or_default()); // it is text
    } else {
        tell(&issued);
    }
    Ok(())
}

fn tell(issued: &Issued) {
    let Issued { login, id, handed, .. } = issued;
    match handed {
        Handed::Plain(secret) => {
            output::note(format!("{login}: secret {id} issued; it is shown this once:"));
            output::once(secret.expose_text().unwrap_or_default()); // issued secrets are ASCII
        }
        Handed::Wrapped { token, ttl } => {
            let seconds = ttl.as_secs();
            output::note(format!(
                "{login}: secret {id} issued; this token takes it out, once, within {}, with `bao unwrap TOKEN` or `vault \
                 unwrap TOKEN`. Whoever is told that the token is not valid revokes it: `locum client revoke {login} --secret {id}`",
                if seconds % 3600 == 0 { format!("{} h", seconds / 3600) } else { format!("{} minutes", seconds / 60) }
            ));
            output::once(token.expose_text().unwrap_or_default());
        }
    }
}

fn warn_of(weakness: &Weakness) {
    let Weakness { length, random_bits, bits_enough, length_enough } = weakness;
    output::note(format!(
        "note: its {length} characters have {random_bits} random bits in them, where {bits_enough} are good; let the network \
         or the protocol of this client be limited, too, or take {length_enough} characters if the device can"
    ));
}

/// As 8h, or 90m.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = text.parse::<SignedDuration>().ok().and_then(|ttl| Duration::try_from(ttl).ok());
    ttl.filter(|ttl| (TTL_MIN..=TTL_MAX).contains(ttl))
        .ok_or_else(|| "expected a time from 1m to 168h, such as 8h".to_owned())
}
