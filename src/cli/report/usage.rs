//! `locum report usage`: every client that nodes have seen: how it comes in, and what is used for it upstream.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Format;
use crate::cli::exit::{self, Failure};
use crate::cli::{csv_out, desk, output};
use crate::management::reports::{self, UsageFilter};
use crate::model::{SecretSource, Sighting};
use crate::rotation::Sightings;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Only clients that were there since, as 2026-11-01 or 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// Only this login name.
    #[arg(long, value_name = "LOGIN")]
    client: Option<String>,
    /// Only this account.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Forget the clients that were last there before that time, and show nothing.
    #[arg(long, value_name = "TIME", value_parser = parse_since, conflicts_with_all = ["since", "client", "account"])]
    forget_before: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let desk = desk::look(path).await?;
    if let Some(before) = arguments.forget_before {
        output::note(format!("{} forgotten", reports::forget(&desk, before).await?));
        return Ok(());
    }
    let Arguments { since, client, account, .. } = arguments;
    let filter = UsageFilter { since: *since, client: client.clone(), account: account.clone(), weak_tls: false };
    let Sightings { seen, unread } = reports::all_usage(&desk, &filter).await?;
    if arguments.format.csv {
        csv_out::print(HEADER, seen.iter().map(cells))?;
    } else if arguments.format.json {
        output::json(&seen)?;
    } else {
        tell(&seen);
    }
    told_all(unread)
}

/// Whether some records are missing from what was told.
pub(super) fn told_all(unread: usize) -> Result<()> {
    match unread {
        0 => Ok(()),
        unread => Err(Failure::new(exit::DATA, format!("{unread} records cannot be read")).into()),
    }
}

/// A day is the beginning of it.
fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let expected = "expected a day such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z";
    text.parse().ok().or_else(day).ok_or(expected)
}

const HEADER: [&str; 22] = [
    "client",
    "account",
    "protocol",
    "listener",
    "tls",
    "method",
    "secret",
    "enrolled",
    "delegated",
    "upstream",
    "kind",
    "credential",
    "networks",
    "via",
    "first seen",
    "last seen",
    "logins",
    "refused",
    "causes",
    "messages",
    "bytes up",
    "bytes down",
];

fn cells(seen: &Sighting) -> [String; HEADER.len()] {
    let key = &seen.key;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let upstream = seen.upstream.as_ref();
    let listed = |items: Vec<String>| items.join(" ");
    [
        key.login.clone(),
        text(&key.account),
        key.protocol.to_string(),
        key.listener.clone(),
        key.tls.clone().unwrap_or_else(|| "none".to_owned()),
        key.method.clone(),
        text(&key.secret),
        seen.source.map(|source| source.name().to_owned()).unwrap_or_default(),
        seen.delegated.to_string(),
        upstream.map(|it| it.profile.clone()).unwrap_or_default(),
        upstream.map(|it| it.kind.name().to_owned()).unwrap_or_default(),
        upstream.map(|it| it.credential.clone()).unwrap_or_default(),
        listed(seen.networks.iter().map(|it| it.network.to_string()).collect()),
        listed(seen.via.iter().map(ToString::to_string).collect()),
        format!("{:.0}", seen.first_seen),
        format!("{:.0}", seen.last_seen),
        seen.logins.to_string(),
        seen.refusals().to_string(),
        listed(seen.refused.iter().map(|(cause, count)| format!("{cause}={count}")).collect()),
        seen.messages.map(|count| count.to_string()).unwrap_or_default(),
        seen.bytes_up.to_string(),
        seen.bytes_down.to_string(),
    ]
}

fn tell(seen: &[Sighting]) {
    let row = |seen: &Sighting| {
        let key = &seen.key;
        let refused = seen.refusals();
        let counted =
            if refused > 0 { format!("{} (+{refused} refused)", seen.logins) } else { seen.logins.to_string() };
        let secret = key.secret.clone().unwrap_or_else(|| "-".to_owned());
        let secret = match seen.source {
            Some(SecretSource::Issued) | None => secret,
            Some(source) => format!("{secret} ({})", source.name()),
        };
        let upstream =
            seen.upstream.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{} {}", it.kind, it.credential));
        let account = key.account.clone().unwrap_or_else(|| "-".to_owned());
        [
            key.login.clone(),
            if seen.delegated { format!("{account} (delegated)") } else { account },
            key.protocol.to_string(),
            key.tls.clone().unwrap_or_else(|| "none".to_owned()),
            key.method.clone(),
            secret,
            upstream,
            output::day(seen.last_seen),
            counted,
        ]
    };
    let header = ["CLIENT", "ACCOUNT", "BY", "TLS", "METHOD", "SECRET", "UPSTREAM", "LAST SEEN", "LOGINS"];
    output::table(header, seen.iter().map(row).collect(), "no client was seen");
}

#[cfg(test)]
mod tests {
    use super::parse_since;

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(parse_since("2026-11-01").unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(parse_since("2026-11-01T08:00:00Z").unwrap().to_string(), "2026-11-01T08:00:00Z");
        assert!(parse_since("yesterday").is_err() && parse_since("").is_err());
    }
}
