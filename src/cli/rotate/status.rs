//! `locum rotate status`: how far rotations are, who began them, and what to type next.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::hint;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::cli::places;
use crate::management::Desk;
use crate::management::rotation::{Held, Places, RotationView, command, held_of_one};
use crate::model::{CredentialKind, HistoryEntry};
use crate::rotation::Subject;

/// Steps of the past that people are shown; JSON has all that are kept.
const SHOWN_MAX: usize = 8;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The account; or a domain with an @ before it.
    #[arg(value_name = "ACCOUNT", required_unless_present_any = ["all", "domain"])]
    name: Option<String>,
    /// This kind of credential only: app-password or oauth2.
    #[arg(long)]
    kind: Option<CredentialKind>,
    /// All accounts and domains.
    #[arg(long, conflicts_with_all = ["name", "domain"])]
    all: bool,
    /// All accounts of a domain.
    #[arg(long, conflicts_with = "name")]
    domain: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One rotation as JSON has it: which steps are possible is for those who have no commands.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    upstream: String,
    state: String,
    #[serde(flatten)]
    places: Places,
    at_provider: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_provider_max: Option<u32>,
    elsewhere: u32,
    history: Vec<HistoryEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_command_from: Option<Timestamp>,
}

impl View {
    fn of(rotation: RotationView) -> Self {
        let RotationView { name, upstream, state, places, at_provider, at_provider_max, elsewhere, .. } = rotation;
        let RotationView { history, next_command, next_command_from, .. } = rotation;
        Self {
            name,
            upstream,
            state,
            places,
            at_provider,
            at_provider_max,
            elsewhere,
            history,
            next_command,
            next_command_from,
        }
    }
}

pub(super) async fn run(desk: &Desk, arguments: &Arguments) -> Result<()> {
    let (mut held, unread) = match &arguments.name {
        Some(name) => (held_of_one(&desk.directory, name).await?, 0),
        None => places::of_all(&desk.directory, arguments.domain.as_deref()).await?,
    };
    held.retain(|held| arguments.kind.is_none_or(|kind| kind == held.subject.kind()));
    let now = Timestamp::now();
    if arguments.json {
        output::json(&held.iter().map(|held| View::of(RotationView::of(desk, held, now))).collect::<Vec<_>>())?;
    } else if let Some(name) = &arguments.name {
        show_all(desk, &held, name, now);
    } else {
        table(desk, &held, now);
    }
    if unread > 0 {
        return Err(Failure::new(exit::DATA, format!("{unread} records cannot be read")).into());
    }
    Ok(())
}

fn show_all(desk: &Desk, held: &[Held], name: &str, now: Timestamp) {
    if held.is_empty() {
        output::note(format!("{} has no such credential of its own", name.trim()));
        let subject = Subject::app_password(name.trim());
        return hint::next(&command("stage", &subject, ""));
    }
    for (number, held) in held.iter().enumerate() {
        if number > 0 {
            output::line("");
        }
        show(desk, held, now);
    }
}

fn show(desk: &Desk, held: &Held, now: Timestamp) {
    let Held { subject, upstream, slots } = held;
    let rotation = RotationView::of(desk, held, now);
    let line = |what: &str, text: String| output::line(format!("{what:<12}{text}"));
    line("account", format!("{} at {upstream}, {}", rotation.name, subject.kind()));
    match &rotation.places.current {
        Some(current) => {
            let verified = current.verified.map(|at| format!(", verified {}", output::minute(at))).unwrap_or_default();
            line(
                "current",
                format!("{}, since {}{verified}", places::called(current), output::minute(current.created)),
            );
        }
        None => line("current", "none".to_owned()),
    }
    for (what, text) in places::lines(slots) {
        line(what, text);
    }
    line("at provider", places::counted(&rotation));
    for (number, text) in history(&slots.history).into_iter().enumerate() {
        line(if number == 0 { "history" } else { "" }, text);
    }
    match (rotation.next_command, rotation.next_command_from) {
        (Some(command), Some(from)) => line("to type", format!("{command}, after {}", output::minute(from))),
        (Some(command), None) => line("to type", command),
        (None, _) => line("to type", "nothing: all is done".to_owned()),
    }
}

/// The latest steps in lines, the last one first.
fn history(entries: &[HistoryEntry]) -> Vec<String> {
    let mut lines: Vec<String> = entries.iter().rev().take(SHOWN_MAX).map(places::done).collect();
    let more = entries.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        lines.push(format!("and {more} before, with --json"));
    }
    lines
}

fn table(desk: &Desk, held: &[Held], now: Timestamp) {
    let row = |held: &Held| {
        let Held { subject, slots, .. } = held;
        let rotation = RotationView::of(desk, held, now);
        let began = slots.next.as_ref().map(|next| (next.since, next.by.clone()));
        let began = began.or_else(|| slots.history.last().map(|entry| (entry.at, entry.by.clone())));
        let (since, by) = began.map(|(at, by)| (output::minute(at).to_string(), by)).unwrap_or_default();
        let max = rotation.at_provider_max.map(|max| format!(" of {max}")).unwrap_or_default();
        let next = rotation.next_command.map(|command| match rotation.next_command_from {
            Some(from) => format!("{command}, after {}", output::minute(from)),
            None => command,
        });
        [
            rotation.name,
            subject.kind().to_string(),
            rotation.state,
            since,
            by,
            format!("{}{max}", rotation.at_provider),
            next.unwrap_or_default(),
        ]
    };
    let rows = held.iter().map(row).collect();
    let header = ["ACCOUNT", "KIND", "STATE", "LAST STEP", "BY", "AT PROVIDER", "NEXT"];
    output::table(header, rows, "there is no such account; see `locum account list`");
}
