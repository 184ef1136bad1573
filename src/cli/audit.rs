//! `locum audit`: what happened, and whether all of it is still there. It reads files and changes none.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::Value;

use super::exit::{self, Failure};
use super::output;
use crate::audit::{self, Anchor, Breach, Found, Report, SearchError, Wanted};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look whether every line is there as it was written, in its order. Exits with 65 if not.
    Verify(VerifyArguments),
    /// Show events, the latest first.
    Search(SearchArguments),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// These files, in any order; without any, all of the audit that the configuration names.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// That there is a line of that number with that hash, as an earlier look or the log told it. Nothing else shows that
    /// lines were cut off the end.
    #[arg(long, value_name = "SEQ:HASH")]
    anchor: Vec<Anchor>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SearchArguments {
    /// Of this login.
    #[arg(long)]
    login: Option<String>,
    /// Of this account.
    #[arg(long)]
    account: Option<String>,
    /// Of this kind: decision, upstream, end, rotation, alert, session and others.
    #[arg(long)]
    event: Option<String>,
    /// With this outcome: allow, deny, accepted, failed and others.
    #[arg(long)]
    outcome: Option<String>,
    /// From this address.
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<IpAddr>,
    /// Not before then: 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before then.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// So many at the most.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// As JSON, one event a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Verify(arguments) => verify(path, &arguments),
        Command::Search(arguments) => search(path, arguments),
    }
}

/// The file of the audit, by the configuration.
fn file(path: &Path) -> Result<PathBuf> {
    let none = || Failure::new(exit::CONFIG, format!("{}: no path in [audit], so there is no file", path.display()));
    Ok(Config::load(path)?.audit.path.ok_or_else(none)?)
}

fn verify(path: &Path, arguments: &VerifyArguments) -> Result<()> {
    // An auditor has the files, and perhaps no configuration.
    let file = if arguments.files.is_empty() { file(path)? } else { PathBuf::new() };
    let looked = audit::verify(&file, &arguments.files, &arguments.anchor);
    let report = looked.map_err(|error| Failure::new(exit::NOT_FOUND, error.to_string()))?;
    if arguments.json {
        output::json(&report)?;
    } else {
        tell(&report);
    }
    match &report.broken {
        None => Ok(()),
        Some(_) => Err(Failure::new(exit::DATA, "the audit is not as it was written").into()),
    }
}

fn tell(report: &Report) {
    for part in &report.files {
        output::line(format!("{}: {} lines", part.file.display(), part.lines));
    }
    if report.not_chained > 0 {
        output::line(format!("{} lines are from before there was a chain: not chained", report.not_chained));
    }
    for Breach { file, line, what, .. } in &report.mended {
        output::line(format!(
            "{}:{line}: {what}, which the next line accounts for; an event may be lost",
            file.display()
        ));
    }
    if let Some(first) = report.first_seq.filter(|first| *first > 1) {
        output::line(format!("begins with line {first} of the chain; those before are in files that are not here"));
    }
    if let Some(Breach { file, line, what, detail }) = &report.broken {
        output::line(format!("{}:{line}: {what}: {detail}", file.display()));
    }
    if let (Some(seq), Some(hash)) = (report.last_seq, &report.last_hash) {
        let verdict = if report.ok { "whole up to line" } else { "right up to line" };
        output::line(format!("{verdict} {seq}; keep this elsewhere for the next look: --anchor {seq}:{hash}"));
    }
}

fn search(path: &Path, arguments: SearchArguments) -> Result<()> {
    let file = file(path)?;
    let SearchArguments { login, account, event, outcome, peer, since, until, limit, json } = arguments;
    let wanted = Wanted { login, account, event, outcome, peer, since, until };
    let (mut rows, mut shown, mut after) = (Vec::new(), 0, None);
    while shown < limit {
        let found = audit::search(&file, &wanted, after.as_deref(), limit - shown);
        let Found { lines, next, unreadable: _ } = found.map_err(|error| match error {
            SearchError::Cursor => Failure::new(exit::TEMPORARY, "a file was removed meanwhile; look again"),
            SearchError::Io(_) => Failure::new(exit::NOT_FOUND, error.to_string()),
        })?;
        shown += lines.len();
        for line in lines {
            if json {
                output::line(line);
            } else {
                rows.push(row(&line));
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    if !json {
        output::table(["TIME", "EVENT", "OUTCOME", "LOGIN", "ACCOUNT", "FROM", "REASON"], rows, "nothing of that kind");
    }
    Ok(())
}

/// An event for people; all of it is in JSON.
fn row(line: &Value) -> [String; 7] {
    let text = |fields: &[&str]| {
        let found = fields.iter().find_map(|field| line.get(field)?.as_str());
        found.unwrap_or_default().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>()
    };
    [
        text(&["time"]).chars().take(19).collect(),
        text(&["event"]),
        text(&["outcome", "step", "kind"]),
        text(&["login"]),
        text(&["account", "subject"]),
        text(&["peer", "actor"]),
        text(&["reason", "cause"]),
    ]
}
