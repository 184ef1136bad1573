//! `locum report inventory`: what exists of each account at its provider, what is to be deleted there, and what ends on which of
//! the provider's days.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::usage::told_all;
use super::{Format, dates, enrolled};
use crate::cli::{csv_out, desk, output};
use crate::management::reports::{self, Day, Enrolled, InventoryRow, Stock, WeakTls};
use crate::management::rotation::described;
use crate::model::Leftover;

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
struct Told {
    credentials: Vec<InventoryRow>,
    dates: Vec<Day>,
    enrolled: Vec<Enrolled>,
    weak_tls: Vec<WeakTls>,
    /// Whether it is known which clients were seen.
    seen_known: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let desk = desk::look(path).await?;
    let stock = Stock::read(&desk, arguments.domain.as_deref(), |_| {}).await?;
    for damaged in &stock.damaged {
        output::note(format!("locum: {}", damaged.detail));
    }
    let told = Told {
        credentials: reports::inventory_of(&desk, &stock),
        dates: reports::days(&desk, &stock, Timestamp::now()),
        enrolled: reports::enrolled(&stock),
        weak_tls: reports::weak_tls(&stock),
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
    told_all(stock.unread())
}

fn tell(rows: &[InventoryRow]) {
    let cells = |row: &InventoryRow| {
        let max = row.at_provider_max.map_or_else(String::new, |max| format!(" of {max}"));
        let full = match row.left {
            Some(0) => " (full)",
            Some(_) => " (nearly full)",
            None => "",
        };
        let label = |label: &Option<String>| label.clone().unwrap_or_default();
        let to_delete = row.to_delete.iter().chain(&row.left_behind).count();
        [
            row.name.clone(),
            row.kind.to_string(),
            label(&row.current),
            label(&row.next),
            label(&row.previous),
            if to_delete == 0 { String::new() } else { to_delete.to_string() },
            format!("{}{max}{full}", row.at_provider),
            row.oldest.map(output::day).unwrap_or_default(),
        ]
    };
    let header = ["ACCOUNT", "KIND", "CURRENT", "NEXT", "PREVIOUS", "TO DELETE", "AT PROVIDER", "OLDEST"];
    output::table(header, rows.iter().map(cells).collect(), "there is nothing at any provider yet");
    let left: Vec<(&str, &Leftover)> = rows
        .iter()
        .flat_map(|row| row.to_delete.iter().chain(&row.left_behind).map(|left| (row.name.as_str(), left)))
        .collect();
    let Some(width) = left.iter().map(|(name, _)| name.chars().count()).max() else { return };
    output::line("\nto be deleted in the providers' portals, then ticked off with `locum rotate deleted`:");
    for (name, left) in left {
        output::line(format!("  {name:<width$}  {}", described(left)));
    }
}
