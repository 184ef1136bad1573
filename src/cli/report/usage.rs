//! `locum report usage`: every client that nodes have seen: how it comes in, and what is used for it upstream.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Format;
use crate::broker::{Directory, DirectoryError};
use crate::cli::exit::{self, Failure};
use crate::cli::{csv_out, open_directory, output};
use crate::model::{Sighting, normalise};
use crate::rotation::Sightings;
use crate::store::StoreError;

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
    let (_, directory) = open_directory(path).await?;
    if let Some(before) = arguments.forget_before {
        let removed = Sightings::forget(&directory, before, Timestamp::now()).await.map_err(explained)?;
        output::note(format!("{removed} forgotten"));
        return Ok(());
    }
    let Sightings { mut seen, unread } = Sightings::read(&directory).await.map_err(explained)?;
    seen.retain(|it| is_meant(it, arguments));
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

/// Where the list is kept away, with what would give it.
fn explained(error: DirectoryError) -> anyhow::Error {
    match error {
        DirectoryError::Store(StoreError::Config(why)) => {
            let message =
                format!("which clients come in may not be read: {why} (config/deploy/vault/locum-operator.hcl)");
            Failure::new(exit::DENIED, message).into()
        }
        error => error.into(),
    }
}

/// What all nodes put down, and why it is not known where a policy keeps it away.
pub(super) async fn read_if_allowed(directory: &Directory) -> Result<(Sightings, Option<String>)> {
    match Sightings::read(directory).await {
        Ok(sightings) => Ok((sightings, None)),
        Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
            Ok((Sightings::default(), Some(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_meant(seen: &Sighting, arguments: &Arguments) -> bool {
    let is = |asked: &Option<String>, own: Option<&str>| {
        asked.as_deref().is_none_or(|asked| own.map(normalise).as_deref() == Some(&normalise(asked)))
    };
    arguments.since.is_none_or(|since| since <= seen.last_seen)
        && is(&arguments.client, Some(&seen.key.login))
        && is(&arguments.account, seen.key.account.as_deref())
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
            Some(crate::model::SecretSource::Issued) | None => secret,
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
