//! What ends on which of a provider's days: which accounts, which clients by them, and what to do.

use crate::cli::output;
use crate::management::reports::{Day, Seen, Use};
use crate::model::Protocol;

/// Names in one cell of a table: it has to fit a terminal. JSON and CSV have all of them.
const NAMES_MAX: usize = 3;

fn when(day: &Day) -> String {
    day.day.map_or_else(|| "no day yet".to_owned(), |day| day.to_string())
}

fn described(day: &Day) -> String {
    let kind = day.ends.map_or_else(String::new, |kind| format!(" {kind}"));
    let passed = if day.passed { " (passed)" } else { "" };
    format!("{}{passed} {}, {}{kind}: {}", when(day), day.upstream, listed(&day.protocols), day.what)
}

fn listed(protocols: &[Protocol]) -> String {
    protocols.iter().map(|it| it.name()).collect::<Vec<_>>().join(" ")
}

/// For people: a heading for each day, and the accounts below it.
pub(super) fn tell(days: &[Day]) {
    if days.is_empty() {
        return output::note("no day is known on which a provider changes anything");
    }
    for day in days {
        output::line(format!("\n{}", described(day)));
        if day.ends.is_none() {
            continue;
        }
        let rows = day.accounts.iter().map(|hit| {
            let last = hit.clients.iter().filter_map(|it| it.seen.as_ref()).map(|seen| seen.last_seen).max();
            [
                format!("  {}", hit.account),
                listed(&hit.protocols),
                clients(&hit.clients),
                last.map_or_else(|| "never".to_owned(), output::day),
                hit.instead.clone(),
            ]
        });
        if day.accounts.is_empty() {
            output::line("  nobody here");
        } else {
            let header = ["  ACCOUNT", "BY", "CLIENTS", "LAST SEEN", "INSTEAD"];
            output::table(header, rows.collect(), "");
            // Once for all that are alike: a table has to fit a terminal. JSON and CSV say it of each.
            let mut told: Vec<&str> = Vec::new();
            for hit in &day.accounts {
                if !told.contains(&hit.instead.as_str()) {
                    told.push(&hit.instead);
                    output::line(format!("  where there is {}: {}", hit.instead, hit.todo));
                }
            }
        }
    }
}

/// Who they are, those that were seen first; the others in brackets.
fn clients(clients: &[Use]) -> String {
    let mut names: Vec<String> = Vec::new();
    for client in clients {
        let name = if client.seen.is_some() { client.client.clone() } else { format!("({})", client.client) };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

pub(super) const HEADER: [&str; 20] = [
    "day",
    "passed",
    "upstream",
    "protocols",
    "ends",
    "what",
    "account",
    "account by",
    "instead",
    "to do",
    "client",
    "protocol",
    "listener",
    "tls",
    "method",
    "secret",
    "enrolled",
    "last seen",
    "logins",
    "messages",
];

/// A row for each client, one for an account without any, and one for a day without accounts.
pub(super) fn cells(days: &[Day]) -> Vec<[String; HEADER.len()]> {
    let mut rows = Vec::new();
    for day in days {
        let mut row: [String; HEADER.len()] = Default::default();
        row[..6].clone_from_slice(&[
            day.day.map(|day| day.to_string()).unwrap_or_default(),
            day.passed.to_string(),
            day.upstream.clone(),
            listed(&day.protocols),
            day.ends.map(|kind| kind.name().to_owned()).unwrap_or_default(),
            day.what.clone(),
        ]);
        if day.accounts.is_empty() {
            rows.push(row.clone());
        }
        for hit in &day.accounts {
            let own = [hit.account.clone(), listed(&hit.protocols), hit.instead.clone(), hit.todo.clone()];
            row[6..10].clone_from_slice(&own);
            row[10..].fill(String::new());
            if hit.clients.is_empty() {
                rows.push(row.clone());
            }
            for client in &hit.clients {
                row[10..].fill(String::new());
                row[10] = client.client.clone();
                if let Some(seen) = &client.seen {
                    row[11..].clone_from_slice(&seen_cells(seen));
                }
                rows.push(row.clone());
            }
        }
    }
    rows
}

fn seen_cells(seen: &Seen) -> [String; 9] {
    [
        seen.protocol.to_string(),
        seen.listener.clone(),
        seen.tls.clone(),
        seen.method.clone(),
        seen.secret.clone().unwrap_or_default(),
        seen.enrolled.map(|source| source.name().to_owned()).unwrap_or_default(),
        format!("{:.0}", seen.last_seen),
        seen.logins.to_string(),
        seen.messages.map(|count| count.to_string()).unwrap_or_default(),
    ]
}
