//! Logins to mailboxes with the credentials that clients would be served with, a look whether they open, and what is wrong with
//! those that do not, in plain words. It changes nothing, neither at the provider nor in the store.

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::given::check_name;
use super::{Damaged, Desk, Fault, ManagementError, accounts};
use crate::broker::{Choice, Directory, Reason};
use crate::credential::CredentialError;
use crate::credential::oauth2::FailureKind;
use crate::model::{Account, CredentialKind, Protocol};
use crate::upstream::UpstreamError;

/// Records asked for in one go.
const PAGE: usize = 5_000;

/// Logins at once, if it is not said.
const AT_ONCE: u16 = 8;

/// The most logins at once. A provider's limit for one mailbox holds all the same.
const AT_ONCE_MAX: u16 = 256;

/// Which mailboxes to log in to, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeWanted {
    /// These accounts, or addresses of a domain that has a credential.
    pub accounts: Vec<String>,
    /// All accounts.
    pub all: bool,
    /// All accounts of a domain.
    pub domain: Option<String>,
    /// By these protocols alone; none: by all that the account's upstream has.
    pub protocols: Vec<Protocol>,
    /// With this kind of credential alone, whatever is preferred.
    pub kind: Option<CredentialKind>,
    /// So many logins at once, 8 if it is not said.
    #[schema(minimum = 1, maximum = 256)]
    pub at_once: Option<u16>,
}

impl ProbeWanted {
    /// What is meant, in words.
    pub fn described(&self) -> String {
        match (&self.accounts[..], &self.domain) {
            ([], Some(domain)) => format!("@{}", domain.trim_start_matches('@')),
            ([], None) => "all accounts".to_owned(),
            ([one], _) => one.clone(),
            ([first, others @ ..], _) => format!("{first} and {} more", others.len()),
        }
    }
}

/// What came of all logins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Probed {
    /// Each, by account and protocol.
    pub logins: Vec<ProbedLogin>,
    /// Records that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
}

/// What came of one login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProbedLogin {
    /// The account.
    pub account: String,
    /// By which protocol.
    pub protocol: Protocol,
    /// What was logged in with, if anything could be.
    pub credential: Option<ProbedCredential>,
    /// Whether the mailbox opened.
    pub ok: bool,
    /// Why nothing of a kind that is preferred was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fell_back: Option<String>,
    /// How many messages are in it, where that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What was logged in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProbedCredential {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub id: String,
}

/// Why a mailbox cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// In one word.
    pub cause: String,
    /// Whether it passes without anybody's doing.
    pub passes: bool,
    /// In a few words.
    #[serde(skip)]
    pub brief: String,
    /// In a sentence.
    pub plain: String,
    /// What to do.
    pub remedy: String,
    /// In which state of the login it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A protocol of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    account: String,
    protocol: Protocol,
}

/// Logs in to all that are wanted. `show` is told how many of how many are done. Somebody has to run the desk's access tokens
/// meanwhile.
///
/// # Errors
/// If there is nothing to log in to; see [`ManagementError`]. What is wrong with a mailbox is none.
pub async fn probe(
    desk: &Desk,
    wanted: &ProbeWanted,
    show: impl FnMut(usize, usize),
) -> Result<Probed, ManagementError> {
    let at_once = wanted.at_once.unwrap_or(AT_ONCE);
    if !(1..=AT_ONCE_MAX).contains(&at_once) {
        let message = format!("at once there are 1 to {AT_ONCE_MAX} logins");
        return Err(ManagementError::new(Fault::Usage, message));
    }
    let (targets, damaged) = targets(desk, wanted).await?;
    let kind = wanted.kind;
    let probe_one = |target| {
        let desk = desk.clone();
        async move { probe_one(&desk, target, kind).await }
    };
    let logins = probe_all(targets, usize::from(at_once), show, probe_one).await;
    Ok(Probed { logins, damaged })
}

/// What is meant, in order, and the records that could not be read.
async fn targets(desk: &Desk, wanted: &ProbeWanted) -> Result<(Vec<Target>, Vec<Damaged>), ManagementError> {
    let named = [!wanted.accounts.is_empty(), wanted.all, wanted.domain.is_some()];
    if named.into_iter().filter(|named| *named).count() != 1 {
        return Err(ManagementError::new(Fault::Usage, "name accounts, or a domain, or say that all are meant"));
    }
    let (mut targets, mut damaged) = (Vec::new(), Vec::new());
    for name in &wanted.accounts {
        let account = account_or_address(&desk.directory, name).await?;
        targets.extend(of_account(desk, wanted, &account));
    }
    let mut after = None;
    while wanted.accounts.is_empty() {
        let page = desk.directory.accounts_page(after.as_ref(), PAGE).await?;
        let accounts = page.records.iter().map(|found| &found.record);
        let meant = accounts.filter(|account| is_of(account, wanted.domain.as_deref()));
        targets.extend(meant.flat_map(|account| of_account(desk, wanted, account)));
        damaged.extend(Damaged::all(page.damaged));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    targets.sort();
    targets.dedup();
    if targets.is_empty() && damaged.is_empty() {
        let message = "nothing to probe: there is no such account, or its upstream has no such protocol";
        return Err(ManagementError::missing(message));
    }
    Ok((targets, damaged))
}

/// The protocols of an account that are meant.
fn of_account(desk: &Desk, wanted: &ProbeWanted, account: &Account) -> Vec<Target> {
    let profile = desk.profiles.get(&account.upstream);
    let is_meant = |protocol: &Protocol| {
        // Of an upstream that is not configured nothing is known: why, the broker says.
        (wanted.protocols.is_empty() || wanted.protocols.contains(protocol))
            && profile.is_none_or(|profile| profile.endpoints.contains_key(protocol))
    };
    let protocols = Protocol::ALL.into_iter().filter(is_meant);
    protocols.map(|protocol| Target { account: account.name.clone(), protocol }).collect()
}

/// The account of that name, or the address as an account where its domain has a credential.
async fn account_or_address(directory: &Directory, name: &str) -> Result<Account, ManagementError> {
    let tenant = match name.trim().rsplit_once('@') {
        Some((_, domain)) if directory.account(name).await?.is_none() => directory.tenant(domain).await?,
        _ => None,
    };
    match tenant {
        Some(tenant) => Ok(Account::of_tenant(check_name(name)?, &tenant.record)),
        None => Ok(accounts::record(directory, name).await?.record),
    }
}

/// Whether an account is of a domain; all are if none is asked for.
fn is_of(account: &Account, domain: Option<&str>) -> bool {
    let Some(domain) = domain else { return true };
    account.name.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain.trim_start_matches('@')))
}

/// Probes all of them, so many at once; in the order in which they were named.
async fn probe_all<F: Future<Output = ProbedLogin>>(
    targets: Vec<Target>,
    at_once: usize,
    mut show: impl FnMut(usize, usize),
    probe_one: impl FnMut(Target) -> F,
) -> Vec<ProbedLogin> {
    let total = targets.len();
    let mut probing = stream::iter(targets.into_iter().map(probe_one)).buffer_unordered(at_once);
    let mut probed = Vec::with_capacity(total);
    show(0, total);
    while let Some(done) = probing.next().await {
        probed.push(done);
        show(probed.len(), total);
    }
    probed.sort_by(|a, b| (&a.account, a.protocol).cmp(&(&b.account, b.protocol)));
    probed
}

async fn probe_one(desk: &Desk, target: Target, kind: Option<CredentialKind>) -> ProbedLogin {
    let Target { account, protocol } = target;
    let failed = |account, trouble| ProbedLogin {
        account,
        protocol,
        credential: None,
        ok: false,
        fell_back: None,
        messages: None,
        trouble: Some(trouble),
    };
    let lease = match desk.broker.lease_for(&account, protocol, Choice { kind, slot: None }).await {
        Ok(lease) => lease,
        Err(reason) => {
            let trouble = Trouble::of(reason, kind, &account);
            return failed(account, trouble);
        }
    };
    let credential = ProbedCredential { kind: lease.credential_kind(), id: lease.credential_id().to_owned() };
    let fell_back = lease.fell_back().map(str::to_owned);
    let opened = desk.upstreams.probe_mailbox(&lease).await;
    ProbedLogin {
        account,
        protocol,
        credential: Some(credential),
        ok: opened.is_ok(),
        fell_back,
        messages: opened.as_ref().ok().and_then(|mailbox| mailbox.messages),
        trouble: opened.err().map(Trouble::from),
    }
}

impl From<UpstreamError> for Trouble {
    fn from(error: UpstreamError) -> Self {
        let cause = error.cause();
        Self {
            cause: cause.name().to_owned(),
            passes: cause.is_transient(),
            brief: cause.to_string(),
            plain: error.plain().to_owned(),
            remedy: error.remedy().to_owned(),
            state: Some(error.state().to_owned()),
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
        Self { cause: "no-lease".to_owned(), passes: false, brief, plain, remedy, state: None, detail: None }
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
                cause: "no-token".to_owned(),
                passes: failure.kind() == FailureKind::Transient,
                brief: "no access token can be had".to_owned(),
                state: Some("token request".to_owned()),
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
        Self { cause: "no-lease".to_owned(), passes, brief: plain.clone(), plain, remedy, state: None, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_told_in_order() {
        let (open, most, shown) = (Cell::new(0), Cell::new(0), Cell::new((0, 0)));
        let (open, most) = (&open, &most);
        let probe_one = |Target { account, protocol }: Target| async move {
            open.set(open.get() + 1);
            most.set(most.get().max(open.get()));
            // The first take longest.
            let number: u64 = account[1..].parse().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100 - number)).await;
            open.set(open.get() - 1);
            let (credential, fell_back, messages, trouble) = (None, None, Some(0), None);
            ProbedLogin { account, protocol, credential, ok: true, fell_back, messages, trouble }
        };
        let target = |number| Target { account: format!("a{number:03}"), protocol: Protocol::Imap };
        let targets: Vec<Target> = (0..30).map(target).collect();
        let probed = probe_all(targets.clone(), 8, |done, total| shown.set((done, total)), probe_one).await;
        assert_eq!((most.get(), shown.get()), (8, (30, 30)));
        let target = |login: ProbedLogin| Target { account: login.account, protocol: login.protocol };
        assert_eq!(probed.into_iter().map(target).collect::<Vec<_>>(), targets);
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
