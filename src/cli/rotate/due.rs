//! `locum rotate due`: what somebody has to do about credentials, and by which command. It changes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cli::list::Rest;
use crate::cli::{desk, output};
use crate::management::Damaged;
use crate::management::rotation::{self, DueItem, DueWanted, Dues};
use crate::model::RecordKind;

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

pub(super) async fn run(path: &Path, arguments: Arguments) -> Result<()> {
    let desk = desk::look(path).await?;
    let within_hours = arguments.within.as_secs() / (60 * 60);
    let Dues { items, damaged, damaged_tenants } =
        rotation::due(&desk, &DueWanted { domain: arguments.domain, within_hours }).await?;
    if arguments.json {
        output::json(&items)?;
    } else {
        let header = ["ACCOUNT", "KIND", "WHY", "SINCE / BY", "WHAT TO DO"];
        output::table(header, items.into_iter().map(cells).collect(), "nothing is due");
    }
    // Each says what it has to say, whatever the other came to.
    let rest = |kind, damaged: Vec<Damaged>| {
        Rest::of_damaged(kind, damaged.into_iter().map(|damaged| damaged.detail).collect()).tell()
    };
    let told = [rest(RecordKind::Account, damaged), rest(RecordKind::Tenant, damaged_tenants)];
    told.into_iter().collect()
}

fn cells(due: DueItem) -> [String; 5] {
    let DueItem { account, kind, why_in_words, at, todo, .. } = due;
    [account, kind.to_string(), why_in_words, output::day(at), todo]
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
