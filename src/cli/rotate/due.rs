//! `locum rotate due`: what somebody has to do about credentials, and by which command. It changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::broker::Directory;
use crate::cli::list::{Found, Listing, Rest};
use crate::cli::{open_directory, output};
use crate::config::Config;
use crate::model::{Account, CredentialKind, Profile, RecordId, RecordKind, normalise};
use crate::rotation::Subject;
use crate::rotation::schedule::{self, Due, Terms};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Only the accounts of this domain, and its own credential.
    #[arg(long)]
    domain: Option<String>,
    /// Also what becomes due within this time: 30d, 12h.
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "0d")]
    within: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that is due.
#[derive(Debug, Serialize)]
struct Row {
    account: String,
    kind: CredentialKind,
    credential: String,
    why: &'static str,
    /// Since when, or by when.
    at: Timestamp,
    todo: String,
}

pub(super) async fn run(path: &Path, arguments: Arguments) -> Result<()> {
    let (config, directory) = open_directory(path).await?;
    let terms = Terms { max_ages: &config.rotation.max_ages, within: arguments.within, now: Timestamp::now() };
    let (mut due, rests) = find(&config, &directory, terms).await?;
    if let Some(domain) = &arguments.domain {
        let domain = normalise(domain.trim_start_matches('@'));
        due.retain(|due| is_in(&due.subject, &domain));
    }
    due.sort_by(|a, b| (a.why, a.at, a.subject.name()).cmp(&(b.why, b.at, b.subject.name())));
    if arguments.json {
        output::json(&due.iter().map(Row::of).collect::<Vec<_>>())?;
    } else {
        let header = ["ACCOUNT", "KIND", "WHY", "SINCE / BY", "WHAT TO DO"];
        output::table(header, due.iter().map(cells).collect(), "nothing is due");
    }
    rests.into_iter().map(Rest::tell).collect()
}

/// What is due of all accounts and domains. Only that is kept, however many there are.
async fn find(config: &Config, directory: &Directory, terms: Terms<'_>) -> Result<(Vec<Due>, Vec<Rest>)> {
    let of_account = async |after: Option<&RecordId>, limit| {
        let mut page = directory.accounts_page(after, limit).await?;
        let due = |account: &Account| schedule::of_account(account, upstream(config, account), terms);
        page.records.retain(|found| !due(&found.record).is_empty());
        Ok(page)
    };
    let Found { records, rest } = Listing::of_all().read(RecordKind::Account, of_account).await?;
    let mut due: Vec<Due> = records
        .iter()
        .flat_map(|found| schedule::of_account(&found.record, upstream(config, &found.record), terms))
        .collect();
    let of_tenant = async |after: Option<&RecordId>, limit| directory.tenants_page(after, limit).await;
    let found = Listing::of_all().read(RecordKind::Tenant, of_tenant).await?;
    due.extend(found.records.iter().flat_map(|found| schedule::of_tenant(&found.record, terms)));
    Ok((due, vec![rest, found.rest]))
}

fn upstream<'c>(config: &'c Config, account: &Account) -> Option<&'c Profile> {
    config.upstreams.get(&account.upstream).map(|profile| &**profile)
}

fn is_in(subject: &Subject, domain: &str) -> bool {
    match subject {
        Subject::Account { name, .. } => name.rsplit_once('@').is_some_and(|(_, it)| normalise(it) == domain),
        Subject::Tenant { domain: it } => normalise(it) == domain,
    }
}

/// Its name, as verbs take it.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => name.clone(),
        Subject::Tenant { domain } => format!("@{domain}"),
    }
}

fn cells(due: &Due) -> [String; 5] {
    let Due { subject, why, at, todo, .. } = due;
    [name(subject), subject.kind().to_string(), why.to_string(), output::day(*at), todo.clone()]
}

impl Row {
    fn of(due: &Due) -> Self {
        let Due { subject, why, credential, at, todo } = due;
        Self {
            account: name(subject),
            kind: subject.kind(),
            credential: credential.clone(),
            why: why.name(),
            at: *at,
            todo: todo.clone(),
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "expected a time such as 30d or 12h";
    const UNITS: [(char, u64); 2] = [('d', 24 * 60 * 60), ('h', 60 * 60)];
    /// Ten years. Nobody plans further.
    const MAX: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit)).ok_or(WRONG)?;
    let digits = text.trim_end_matches(unit);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok()).flatten().ok_or(WRONG)?;
    let time = number.checked_mul(seconds).map(Duration::from_secs).filter(|time| *time <= MAX);
    time.ok_or_else(|| "expected ten years at the most".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_of_days_or_hours() {
        assert_eq!(parse_time("30d").unwrap().as_secs(), 30 * 24 * 60 * 60);
        assert_eq!(parse_time("12h").unwrap().as_secs(), 12 * 60 * 60);
        for text in ["", "d", "30", "+3d", "3 d", "30m", "99999d", "99999999999999999999d"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
