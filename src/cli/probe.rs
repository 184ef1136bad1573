//! `locum probe`: logs in to mailboxes with the credentials that clients would be served with, looks whether they open,
//! and says what is wrong in plain words. It changes nothing, neither at the provider nor in the store.

use std::path::Path;

use anyhow::Result;

use super::desk;
use super::exit::{self, Failure};
use super::output;
use super::progress::Progress;
use crate::management::probe::{ProbeWanted, Probed, ProbedCredential, ProbedLogin, Trouble, probe};
use crate::model::{CredentialKind, Protocol};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The accounts.
    #[arg(value_name = "ACCOUNT", required_unless_present_any = ["all", "domain"])]
    accounts: Vec<String>,
    /// All accounts.
    #[arg(long, conflicts_with_all = ["accounts", "domain"])]
    all: bool,
    /// All accounts of a domain.
    #[arg(long, conflicts_with = "accounts")]
    domain: Option<String>,
    /// This protocol only: imap, pop3 or submission. May be given more than once; without it, all that the account's
    /// upstream has.
    #[arg(long)]
    protocol: Vec<Protocol>,
    /// With this kind of credential only, whatever is preferred: app-password or oauth2.
    #[arg(long)]
    kind: Option<CredentialKind>,
    /// So many logins at once. A provider's limit for one mailbox holds all the same.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn wanted(&self) -> ProbeWanted {
        ProbeWanted {
            accounts: self.accounts.clone(),
            all: self.all,
            domain: self.domain.clone(),
            protocols: self.protocol.clone(),
            kind: self.kind,
            at_once: Some(self.at_once),
        }
    }
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let (desk, wanted) = (desk::open(path).await?, arguments.wanted());
    let mut progress = Progress::begin("logins");
    let probed = desk::at_work(&desk, probe(&desk, &wanted, |done, total| progress.show(done, total))).await;
    progress.end();
    let Probed { logins, damaged } = probed?;
    for record in &damaged {
        output::note(format!("locum: {}", record.detail));
    }
    if arguments.json {
        output::json(&logins)?;
    } else {
        tell(&logins);
    }
    conclude(&logins, damaged.len())
}

fn tell(probed: &[ProbedLogin]) {
    let row = |login: &ProbedLogin| {
        let credential = match &login.credential {
            Some(ProbedCredential { kind, id }) => format!("{kind} {id}"),
            None => "-".to_owned(),
        };
        [login.account.clone(), login.protocol.to_string(), credential, brief(login)]
    };
    output::table(["ACCOUNT", "PROTOCOL", "CREDENTIAL", "RESULT"], probed.iter().map(row).collect(), "");
    let mut above = None;
    for ProbedLogin { account, protocol, fell_back, trouble, .. } in probed {
        if let Some(reason) = fell_back {
            output::line(format!("\n{account} {protocol}"));
            output::line(format!("  fell back, because of {reason}"));
        }
        let Some(trouble) = trouble else { continue };
        output::line(format!("\n{account} {protocol}"));
        output::line(format!("  cause   {}", trouble.plain));
        // Where one thing is wrong with a thousand mailboxes it is said once what to do.
        let remedy = if above == Some(&trouble.remedy) { "as above" } else { &trouble.remedy };
        output::line(format!("  remedy  {remedy}"));
        above = Some(&trouble.remedy);
        if let (Some(state), Some(detail)) = (&trouble.state, &trouble.detail) {
            output::line(format!("  seen    at {state}: {detail}"));
        }
    }
}

fn brief(login: &ProbedLogin) -> String {
    match (&login.trouble, login.messages) {
        (Some(trouble), _) => trouble.brief.clone(),
        (None, None) => "ok".to_owned(),
        (None, Some(1)) => "ok, 1 message".to_owned(),
        (None, Some(count)) => format!("ok, {count} messages"),
    }
}

/// The summary: an error if anything failed, and one that asks for another try if all of it may pass.
fn conclude(probed: &[ProbedLogin], unread: usize) -> Result<()> {
    let failed: Vec<&Trouble> = probed.iter().filter_map(|login| login.trouble.as_ref()).collect();
    let summary = format!("{} probed: {} ok, {} failed", probed.len(), probed.len() - failed.len(), failed.len());
    if failed.is_empty() && unread == 0 {
        output::note(summary);
        return Ok(());
    }
    let summary = if unread > 0 { format!("{summary}; {unread} records cannot be read") } else { summary };
    let passes = unread == 0 && failed.iter().all(|trouble| trouble.passes);
    Err(Failure::new(if passes { exit::TEMPORARY } else { exit::DATA }, summary).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(trouble: Option<Trouble>) -> ProbedLogin {
        let (account, protocol, messages) = ("a".to_owned(), Protocol::Imap, None);
        ProbedLogin { account, protocol, credential: None, ok: trouble.is_none(), fell_back: None, messages, trouble }
    }

    fn ok() -> ProbedLogin {
        login(None)
    }

    fn failed(passes: bool) -> ProbedLogin {
        let text = String::new;
        login(Some(Trouble {
            cause: text(),
            passes,
            brief: text(),
            plain: text(),
            remedy: text(),
            state: None,
            detail: None,
        }))
    }

    #[test]
    fn the_exit_code_asks_for_another_try_only_if_that_may_help() {
        let code = |logins: Vec<ProbedLogin>, unread| {
            conclude(&logins, unread).err().map(|error| format!("{:?}", exit::code_of(&error)))
        };
        let is = |code| Some(format!("{:?}", std::process::ExitCode::from(code)));
        assert_eq!(code(vec![ok(), ok()], 0), None);
        assert_eq!(code(vec![ok(), failed(true)], 0), is(exit::TEMPORARY));
        assert_eq!(code(vec![failed(true), failed(false)], 0), is(exit::DATA));
        assert_eq!(code(vec![ok()], 1), is(exit::DATA));
        assert_eq!(code(vec![failed(true)], 1), is(exit::DATA));
    }
}
