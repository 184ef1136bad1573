//! `locum probe`: logs in to mailboxes with the credentials that clients would be served with, looks whether they open,
//! and says what is wrong in plain words. It changes nothing, neither at the provider nor in the store.

use std::path::Path;

use anyhow::Result;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::desk;
use super::exit::{self, Failure};
use super::progress::Progress;
use super::{account, output};
use crate::broker::{Broker, Choice, Directory, Reason};
use crate::credential::CredentialError;
use crate::credential::oauth2::FailureKind;
use crate::management::Desk;
use crate::model::{Account, CredentialKind, Protocol};
use crate::upstream::{Mailbox, UpstreamError, Upstreams};

/// Records asked for in one go.
const PAGE: usize = 5_000;

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

/// A protocol of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    account: String,
    protocol: Protocol,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    /// What was logged in with, if anything could be.
    credential: Option<Credential>,
    /// Why nothing of a kind that is preferred was used.
    fell_back: Option<String>,
    result: Result<Mailbox, Trouble>,
}

#[derive(Debug, Serialize)]
struct Credential {
    kind: CredentialKind,
    id: String,
}

/// Why a mailbox cannot be used.
#[derive(Debug, Serialize)]
struct Trouble {
    cause: &'static str,
    /// Whether it passes without anybody's doing.
    passes: bool,
    #[serde(skip)]
    brief: String,
    plain: String,
    remedy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A line of the result as JSON has it.
#[derive(Debug, Serialize)]
struct View<'a> {
    account: &'a str,
    protocol: Protocol,
    credential: Option<&'a Credential>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fell_back: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<&'a Trouble>,
}

impl<'a> View<'a> {
    fn of((target, outcome): &'a (Target, Outcome)) -> Self {
        View {
            account: &target.account,
            protocol: target.protocol,
            credential: outcome.credential.as_ref(),
            ok: outcome.result.is_ok(),
            fell_back: outcome.fell_back.as_deref(),
            messages: outcome.result.as_ref().ok().and_then(|mailbox| mailbox.messages),
            trouble: outcome.result.as_ref().err(),
        }
    }
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let desk = desk::open(path).await?;
    let (targets, unread) = targets(&desk, arguments).await?;
    let probe_one = async |target: &Target| probe(&desk.broker, &desk.upstreams, target, arguments.kind).await;
    let mut progress = Progress::begin("logins");
    let show = |done, total| progress.show(done, total);
    let probes = probe_all(targets, usize::from(arguments.at_once), show, probe_one);
    let probed = desk::at_work(&desk, probes).await;
    progress.end();
    if arguments.json {
        output::json(&probed.iter().map(View::of).collect::<Vec<_>>())?;
    } else {
        tell(&probed);
    }
    conclude(&probed, unread)
}

/// What is meant, in order, and how many records could not be read.
async fn targets(desk: &Desk, arguments: &Arguments) -> Result<(Vec<Target>, usize)> {
    let Desk { directory, profiles, .. } = desk;
    let (mut targets, mut unread) = (Vec::new(), 0);
    let mut add = |account: &Account| {
        let profile = profiles.get(&account.upstream);
        let is_meant = |protocol: &Protocol| {
            // Of an upstream that is not configured nothing is known: why, the broker says.
            (arguments.protocol.is_empty() || arguments.protocol.contains(protocol))
                && profile.is_none_or(|profile| profile.endpoints.contains_key(protocol))
        };
        let protocols = Protocol::ALL.into_iter().filter(is_meant);
        targets.extend(protocols.map(|protocol| Target { account: account.name.clone(), protocol }));
    };
    for name in &arguments.accounts {
        add(&account_or_address(directory, name).await?);
    }
    let mut after = None;
    while arguments.accounts.is_empty() {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        let accounts = page.records.iter().map(|found| &found.record);
        accounts.filter(|account| is_of(account, arguments.domain.as_deref())).for_each(&mut add);
        for (_, error) in &page.damaged {
            output::note(format!("locum: {error}"));
        }
        unread += page.damaged.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    targets.sort();
    targets.dedup();
    if targets.is_empty() && unread == 0 {
        let message = "nothing to probe: there is no such account, or its upstream has no such protocol";
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    }
    Ok((targets, unread))
}

/// The account of that name, or the address as an account where its domain has a credential.
async fn account_or_address(directory: &Directory, name: &str) -> Result<Account> {
    let tenant = match name.trim().rsplit_once('@') {
        Some((_, domain)) if directory.account(name).await?.is_none() => directory.tenant(domain).await?,
        _ => None,
    };
    match tenant {
        Some(tenant) => Ok(Account::of_tenant(account::check_name(name)?, &tenant.record)),
        None => Ok(account::find(directory, name).await?.record),
    }
}

/// Whether an account is of a domain; all are if none is asked for.
fn is_of(account: &Account, domain: Option<&str>) -> bool {
    let Some(domain) = domain else { return true };
    account.name.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain.trim_start_matches('@')))
}

/// Probes all of them, so many at once; in the order in which they were named.
async fn probe_all(
    targets: Vec<Target>,
    at_once: usize,
    mut show: impl FnMut(usize, usize),
    probe_one: impl AsyncFn(&Target) -> Outcome,
) -> Vec<(Target, Outcome)> {
    let total = targets.len();
    let probe_one = &probe_one;
    let probes = targets.into_iter().map(|target| async move {
        let outcome = probe_one(&target).await;
        (target, outcome)
    });
    let mut probing = stream::iter(probes).buffer_unordered(at_once);
    let mut probed = Vec::with_capacity(total);
    show(0, total);
    while let Some(done) = probing.next().await {
        probed.push(done);
        show(probed.len(), total);
    }
    probed.sort_by(|(a, _), (b, _)| a.cmp(b));
    probed
}

async fn probe(broker: &Broker, upstreams: &Upstreams, target: &Target, kind: Option<CredentialKind>) -> Outcome {
    let lease = match broker.lease_for(&target.account, target.protocol, Choice { kind, slot: None }).await {
        Ok(lease) => lease,
        Err(reason) => {
            let trouble = Trouble::of(reason, kind, &target.account);
            return Outcome { credential: None, fell_back: None, result: Err(trouble) };
        }
    };
    let credential = Some(Credential { kind: lease.credential_kind(), id: lease.credential_id().to_owned() });
    let fell_back = lease.fell_back().map(str::to_owned);
    Outcome { credential, fell_back, result: upstreams.probe_mailbox(&lease).await.map_err(Trouble::from) }
}

impl From<UpstreamError> for Trouble {
    fn from(error: UpstreamError) -> Self {
        let cause = error.cause();
        Self {
            cause: cause.name(),
            passes: cause.is_transient(),
            brief: cause.to_string(),
            plain: error.plain().to_owned(),
            remedy: error.remedy().to_owned(),
            state: Some(error.state()),
            detail: Some(error.detail().to_owned()),
        }
    }
}

impl Trouble {
    /// `kind`: the one that was asked for.
    fn of(reason: Reason, kind: Option<CredentialKind>, account: &str) -> Self {
        let (Reason::Credential(CredentialError::None), Some(kind)) = (&reason, kind) else { return reason.into() };
        let (plain, remedy) = match kind {
            CredentialKind::AppPassword => {
                ("the account has no app password", format!("give it one with `locum account set {account}`"))
            }
            CredentialKind::OAuth2 => (
                "the account has no OAuth2 credential, nor has its domain",
                format!("give it one with `locum oauth login {account}`, or its domain with `locum oauth add-tenant`"),
            ),
        };
        let (brief, plain) = (plain.to_owned(), plain.to_owned());
        Self { cause: "no-lease", passes: false, brief, plain, remedy, state: None, detail: None }
    }
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        if let Reason::Credential(CredentialError::Token(failure)) = &reason {
            let said = failure.to_string();
            let (plain, remedy) = (failure.cause().to_owned(), failure.remedy().to_owned());
            // What stands in brackets behind both: the authority's code, and what its support asks for.
            let seen = said.strip_prefix(&format!("{plain}; {remedy}")).map(|seen| seen.trim_matches([' ', '(', ')']));
            let seen = seen.unwrap_or(&said);
            return Self {
                cause: "no-token",
                passes: failure.kind() == FailureKind::Transient,
                brief: "no access token can be had".to_owned(),
                state: Some("token request"),
                detail: (!seen.is_empty()).then(|| seen.to_owned()),
                plain,
                remedy,
            };
        }
        let passes = matches!(&reason, Reason::Directory(error) if error.is_transient());
        let said = reason.to_string();
        // What there is to do stands behind the first semicolon, where a reason knows it.
        let (plain, remedy) = said.split_once("; ").unwrap_or((
            &said,
            "give the account a credential that its upstream takes for this protocol; see `locum account show`",
        ));
        let (plain, remedy) = (plain.to_owned(), remedy.to_owned());
        Self { cause: "no-lease", passes, brief: plain.clone(), plain, remedy, state: None, detail: None }
    }
}

fn tell(probed: &[(Target, Outcome)]) {
    let row = |(target, outcome): &(Target, Outcome)| {
        let credential = match &outcome.credential {
            Some(Credential { kind, id }) => format!("{kind} {id}"),
            None => "-".to_owned(),
        };
        [target.account.clone(), target.protocol.to_string(), credential, brief(&outcome.result)]
    };
    output::table(["ACCOUNT", "PROTOCOL", "CREDENTIAL", "RESULT"], probed.iter().map(row).collect(), "");
    let mut above = None;
    for (target, outcome) in probed {
        if let Some(reason) = &outcome.fell_back {
            output::line(format!("\n{} {}", target.account, target.protocol));
            output::line(format!("  fell back, because of {reason}"));
        }
        let Err(trouble) = &outcome.result else { continue };
        output::line(format!("\n{} {}", target.account, target.protocol));
        output::line(format!("  cause   {}", trouble.plain));
        // Where one thing is wrong with a thousand mailboxes it is said once what to do.
        let remedy = if above == Some(&trouble.remedy) { "as above" } else { &trouble.remedy };
        output::line(format!("  remedy  {remedy}"));
        above = Some(&trouble.remedy);
        if let (Some(state), Some(detail)) = (trouble.state, &trouble.detail) {
            output::line(format!("  seen    at {state}: {detail}"));
        }
    }
}

fn brief(result: &Result<Mailbox, Trouble>) -> String {
    match result {
        Ok(Mailbox { messages: None }) => "ok".to_owned(),
        Ok(Mailbox { messages: Some(1) }) => "ok, 1 message".to_owned(),
        Ok(Mailbox { messages: Some(count) }) => format!("ok, {count} messages"),
        Err(trouble) => trouble.brief.clone(),
    }
}

/// The summary: an error if anything failed, and one that asks for another try if all of it may pass.
fn conclude(probed: &[(Target, Outcome)], unread: usize) -> Result<()> {
    let failed: Vec<&Trouble> = probed.iter().filter_map(|(_, outcome)| outcome.result.as_ref().err()).collect();
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
    use std::cell::Cell;

    use super::*;

    fn target(account: usize) -> Target {
        Target { account: format!("a{account:03}"), protocol: Protocol::Imap }
    }

    fn ok() -> Outcome {
        Outcome { credential: None, fell_back: None, result: Ok(Mailbox { messages: Some(0) }) }
    }

    fn failed(passes: bool) -> Outcome {
        let text = String::new;
        let trouble =
            Trouble { cause: "x", passes, brief: text(), plain: text(), remedy: text(), state: None, detail: None };
        Outcome { credential: None, fell_back: None, result: Err(trouble) }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_told_in_order() {
        let (open, most, shown) = (Cell::new(0), Cell::new(0), Cell::new((0, 0)));
        let probe_one = async |target: &Target| {
            open.set(open.get() + 1);
            most.set(most.get().max(open.get()));
            // The first take longest.
            let number: u64 = target.account[1..].parse().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100 - number)).await;
            open.set(open.get() - 1);
            ok()
        };
        let targets: Vec<Target> = (0..30).map(target).collect();
        let probed = probe_all(targets.clone(), 8, |done, total| shown.set((done, total)), probe_one).await;
        assert_eq!((most.get(), shown.get()), (8, (30, 30)));
        assert_eq!(probed.into_iter().map(|(target, _)| target).collect::<Vec<_>>(), targets);
    }

    #[test]
    fn the_exit_code_asks_for_another_try_only_if_that_may_help() {
        let code = |outcomes: Vec<Outcome>, unread| {
            let probed: Vec<_> = outcomes.into_iter().map(|outcome| (target(0), outcome)).collect();
            conclude(&probed, unread).err().map(|error| format!("{:?}", exit::code_of(&error)))
        };
        let is = |code| Some(format!("{:?}", std::process::ExitCode::from(code)));
        assert_eq!(code(vec![ok(), ok()], 0), None);
        assert_eq!(code(vec![ok(), failed(true)], 0), is(exit::TEMPORARY));
        assert_eq!(code(vec![failed(true), failed(false)], 0), is(exit::DATA));
        assert_eq!(code(vec![ok()], 1), is(exit::DATA));
        assert_eq!(code(vec![failed(true)], 1), is(exit::DATA));
    }

    #[test]
    fn a_reason_is_told_as_cause_and_remedy() {
        let trouble = Trouble::from(Reason::AccountMissing { account: "a".into() });
        assert_eq!((trouble.plain.as_str(), trouble.passes), ("there is no account a", false));
        assert_eq!(trouble.remedy, "add it with `locum account add`");
        let trouble = Trouble::from(Reason::ProtocolNotServed { upstream: "x".into(), protocol: Protocol::Pop3 });
        assert!(!trouble.remedy.is_empty());
    }
}
