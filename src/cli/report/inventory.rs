//! `locum report inventory`: what exists of each account at its provider, what is to be deleted there, and what ends on which of
//! the provider's days.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::Format;
use super::dates::{self, Day};
use super::enrolled::{self, Enrolled, WeakTls};
use super::stock::Stock;
use super::usage::told_all;
use crate::cli::places::{self, Held};
use crate::cli::{csv_out, open_directory, output};
use crate::config::Config;
use crate::model::{CredentialKind, Leftover, Slot};
use crate::rotation::{Inventory, Room};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Accounts of this domain only.
    #[arg(long)]
    domain: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Told<'s> {
    credentials: Vec<Row<'s>>,
    dates: Vec<Day<'s>>,
    enrolled: Vec<Enrolled<'s>>,
    weak_tls: Vec<WeakTls<'s>>,
    /// Whether it is known which clients were seen.
    seen_known: bool,
}

/// One account's credentials of one kind.
#[derive(Debug, Serialize)]
struct Row<'h> {
    /// The account, or `@` and a domain.
    name: String,
    kind: CredentialKind,
    upstream: &'h str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'h str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'h str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'h str>,
    to_delete: Vec<&'h Leftover>,
    /// To be deleted at providers that the account lived at before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_behind: Vec<&'h Leftover>,
    at_provider: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_provider_max: Option<u32>,
    /// How many of them are none of ours.
    elsewhere: u32,
    /// How many more there can be, where that is few.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Timestamp>,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let (config, directory) = open_directory(path).await?;
    let stock = Stock::read(&directory, arguments.domain.as_deref()).await?;
    let held = places::held(stock.accounts.clone(), stock.tenants.clone());
    let told = Told {
        credentials: held.iter().map(|held| row(&config, held)).collect(),
        dates: dates::days(&config, &stock, Timestamp::now()),
        enrolled: enrolled::enrolled(&stock),
        weak_tls: enrolled::weak_tls(&stock),
        seen_known: stock.unseen.is_none(),
    };
    if arguments.format.json {
        output::json(&told)?;
    } else if arguments.format.csv {
        csv_out::print(dates::HEADER, dates::cells(&told.dates).into_iter())?;
    } else {
        tell(&told.credentials);
        dates::tell(&told.dates);
        enrolled::tell(&told.enrolled, &told.weak_tls);
    }
    if let Some(why) = &stock.unseen {
        output::note(format!("which clients come in is not known: {why}"));
    }
    told_all(stock.unread)
}

fn row<'h>(config: &Config, held: &'h Held) -> Row<'h> {
    let Held { subject, upstream, slots } = held;
    let profile = config.upstreams.get(upstream).map(|profile| &**profile);
    let inventory = Inventory::of(slots, subject.kind(), profile);
    let label =
        |slot| slots.in_slot(slot).map(|stored| if stored.label.is_empty() { &*stored.id } else { &*stored.label });
    let left = match inventory.room() {
        Room::Enough => None,
        Room::Little { left } => Some(left),
        Room::Full => Some(0),
    };
    Row {
        name: places::typed(subject),
        kind: subject.kind(),
        upstream,
        current: label(Slot::Current),
        next: label(Slot::Next),
        previous: label(Slot::Previous),
        to_delete: inventory.to_delete,
        left_behind: inventory.left_behind,
        at_provider: inventory.count,
        at_provider_max: inventory.max,
        elsewhere: inventory.elsewhere,
        left,
        oldest: inventory.oldest,
    }
}

fn tell(rows: &[Row<'_>]) {
    let cells = |row: &Row<'_>| {
        let max = row.at_provider_max.map_or_else(String::new, |max| format!(" of {max}"));
        let full = match row.left {
            Some(0) => " (full)",
            Some(_) => " (nearly full)",
            None => "",
        };
        let label = |label: Option<&str>| label.unwrap_or_default().to_owned();
        let to_delete = row.to_delete.iter().chain(&row.left_behind).count();
        [
            row.name.clone(),
            row.kind.to_string(),
            label(row.current),
            label(row.next),
            label(row.previous),
            if to_delete == 0 { String::new() } else { to_delete.to_string() },
            format!("{}{max}{full}", row.at_provider),
            row.oldest.map(output::day).unwrap_or_default(),
        ]
    };
    let header = ["ACCOUNT", "KIND", "CURRENT", "NEXT", "PREVIOUS", "TO DELETE", "AT PROVIDER", "OLDEST"];
    output::table(header, rows.iter().map(cells).collect(), "there is nothing at any provider yet");
    let left: Vec<(&str, &Leftover)> = rows
        .iter()
        .flat_map(|row| row.to_delete.iter().chain(&row.left_behind).map(|left| (row.name.as_str(), *left)))
        .collect();
    let Some(width) = left.iter().map(|(name, _)| name.chars().count()).max() else { return };
    output::line("\nto be deleted in the providers' portals, then ticked off with `locum rotate deleted`:");
    for (name, left) in left {
        output::line(format!("  {name:<width$}  {}", places::described(left)));
    }
}
