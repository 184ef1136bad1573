//! `locum oauth status`: what there is, until when, and, if asked, whether the authority gives a token for it now.

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::application::{days, until};
use super::https;
use crate::broker::{self, Directory};
use crate::cli::exit::{self, Failure};
use crate::cli::list::{Found, Listing, Rest};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::credential::oauth2::{self, Authentication, FailureKind, Grant, OAuth2, Tokens, Wanted};
use crate::management::{accounts, check_name};
use crate::model::{Account, CredentialKind, Protocol, RecordId, RecordKind, Slot, Slots, StoredCredential, Tenant};
use crate::rotation::machine;

/// What ends within so many days is told of: time enough to have a secret made by somebody else.
const WARNING_DAYS: i64 = 30;

/// Refresh tokens that are read, and authorities that are asked, at a time.
const AT_ONCE: usize = 8;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Status {
    /// Accounts and domains to show; without any, all that have an OAuth2 credential.
    #[arg(value_name = "NAME", conflicts_with_all = ["all", "limit", "after"])]
    names: Vec<String>,
    /// Ask the authority for a token now, for each; it is an error if one is refused.
    #[arg(long = "try")]
    tried: bool,
    #[command(flatten)]
    listing: Listing,
}

/// One credential.
#[derive(Debug, Serialize)]
struct Row {
    /// An address, or `@` and a domain.
    name: String,
    upstream: String,
    /// The domain whose credential it is, if it is not the account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_of: Option<String>,
    id: String,
    label: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// When the secret or the certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    /// When the refresh token was handed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_since: Option<Timestamp>,
    state: State,
    /// What is to become current, and what was before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Other>,
    /// Whether the authority gave a token just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// What is to be said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// For whom to ask; `None` for a whole domain.
    #[serde(skip)]
    mailbox: Option<String>,
    #[serde(skip)]
    credential: Option<OAuth2>,
    /// Under which id its refresh token is kept.
    #[serde(skip)]
    kept_under: String,
}

/// A version beside the current one.
#[derive(Debug, Serialize)]
struct Other {
    place: Slot,
    id: String,
    label: String,
    /// How far it is, or until when it may be used.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    EndsSoon,
    Over,
    /// It cannot be used as it is stored.
    Unusable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Token {
    Granted,
    Refused,
    /// It may be had later.
    NotNow,
    Untried,
}

pub(super) async fn run(config: &Config, directory: &Directory, status: Status) -> Result<()> {
    let (mut rows, rests) = match status.names.is_empty() {
        true => all(directory, &status.listing).await?,
        false => (named(directory, &status.names).await?, Vec::new()),
    };
    add_refresh_tokens(directory, &mut rows).await?;
    if status.tried {
        try_all(config, directory, &mut rows).await?;
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name)); // domains first: `@` is before any letter
    if status.listing.json {
        output::json(&rows)?;
    } else {
        let hint = "no OAuth2 credentials yet; give one with `locum oauth login` or `locum oauth add-tenant`";
        show(&rows, &status, status.listing.none(hint));
    }
    let told: Vec<Result<()>> = rests.into_iter().map(Rest::tell).collect();
    told.into_iter().collect::<Result<()>>()?;
    conclude(&rows)
}

/// Everything there is: domains, and a part of the accounts.
async fn all(directory: &Directory, listing: &Listing) -> Result<(Vec<Row>, Vec<Rest>)> {
    let (mut rows, mut rests) = (Vec::new(), Vec::new());
    if listing.begins() {
        let page = async |after: Option<&RecordId>, limit| directory.tenants_page(after, limit).await;
        let Found { records, rest } = Listing::of_all().read(RecordKind::Tenant, page).await?;
        rows.extend(records.into_iter().filter_map(|found| Row::of_tenant(&found.record)));
        rests.push(rest);
    }
    let page = async |after: Option<&RecordId>, limit| {
        let mut page = directory.accounts_page(after, limit).await?;
        page.records.retain(|found| current(&found.record).is_some());
        Ok(page)
    };
    let Found { records, rest } = listing.read(RecordKind::Account, page).await?;
    rows.extend(records.into_iter().filter_map(|found| Row::of_account(&found.record, None)));
    rests.push(rest);
    Ok((rows, rests))
}

/// Those that were named. An account without a credential of its own shows that of its domain.
async fn named(directory: &Directory, names: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in names {
        let name = check_name(name)?;
        let domain = name.strip_prefix('@').unwrap_or(name);
        if let (false, Some(found)) = (domain.contains('@'), directory.tenant(domain).await?) {
            rows.extend(Row::of_tenant(&found.record));
            continue;
        }
        let tenant = match name.rsplit_once('@') {
            Some((_, domain)) => directory.tenant(domain).await?.map(|found| found.record),
            None => None,
        };
        // An address of such a domain needs no account.
        let account = match (directory.account(name).await?, &tenant) {
            (None, Some(tenant)) => accounts::empty(name.to_owned(), tenant.upstream.clone()),
            (None, None) => {
                let message = format!(
                    "{name} is neither an account nor a domain with a credential; see `locum oauth status` and \
                     `locum account list`"
                );
                return Err(Failure::new(exit::NOT_FOUND, message).into());
            }
            (Some(found), _) => found.record,
        };
        let tenant = tenant.filter(|tenant| tenant.upstream == account.upstream);
        let Some(row) = Row::of_account(&account, tenant.as_ref()) else {
            let message = format!("{name} has no OAuth2 credential; give it one with `locum oauth login {name}`");
            return Err(Failure::new(exit::NOT_FOUND, message).into());
        };
        rows.push(row);
    }
    Ok(rows)
}

fn current(account: &Account) -> Option<&StoredCredential> {
    account.credentials.get(&CredentialKind::OAuth2).and_then(|slots| slots.current.as_ref())
}

impl Row {
    fn of_tenant(tenant: &Tenant) -> Option<Self> {
        let stored = tenant.oauth2.current.as_ref()?;
        let again = format!("locum oauth add-tenant {}", tenant.domain);
        let row = Self::new(format!("@{}", tenant.domain), &tenant.upstream, stored, None, &again);
        Some(Self { others: Other::all(&tenant.oauth2), ..row })
    }

    fn of_account(account: &Account, tenant: Option<&Tenant>) -> Option<Self> {
        let mailbox = Some(account.identity(Protocol::Imap).to_owned());
        let (name, upstream) = (account.name.clone(), account.upstream.as_str());
        if let Some(stored) = current(account) {
            let again = format!("locum oauth set {name}");
            let others = account.credentials.get(&CredentialKind::OAuth2).map(Other::all).unwrap_or_default();
            return Some(Self { others, ..Self::new(name, upstream, stored, mailbox, &again) });
        }
        let tenant = tenant?;
        let again = format!("locum oauth add-tenant {}", tenant.domain);
        let row = Self::new(name, upstream, tenant.oauth2.current.as_ref()?, mailbox, &again);
        Some(Self { credential_of: Some(tenant.domain.clone()), others: Other::all(&tenant.oauth2), ..row })
    }

    /// `again` is the command that replaces the credential.
    fn new(name: String, upstream: &str, stored: &StoredCredential, mailbox: Option<String>, again: &str) -> Self {
        let credential = OAuth2::from_stored(stored);
        let now = Timestamp::now();
        let mut row = Self {
            name,
            upstream: upstream.to_owned(),
            credential_of: None,
            id: stored.id.clone(),
            label: stored.label.clone(),
            since: stored.created,
            grant: None,
            client_id: None,
            tenant: None,
            ends: None,
            days_left: None,
            refresh_token_since: None,
            state: State::Good,
            others: Vec::new(),
            token: None,
            notes: Vec::new(),
            mailbox,
            credential: None,
            kept_under: oauth2::kept_under(stored).unwrap_or(&stored.id).to_owned(),
        };
        let credential = match credential {
            Ok(credential) => credential,
            Err(error) => {
                row.state = State::Unusable;
                row.notes.push(error.to_string());
                return row;
            }
        };
        row.grant = Some(credential.grant.to_string());
        row.client_id = Some(credential.client_id.clone());
        row.tenant.clone_from(&credential.tenant);
        row.ends = credential.expires();
        row.days_left = row.ends.map(|end| days(end, now));
        if let Some(end) = row.ends {
            row.tell_end(end, now, &credential, again);
        }
        row.credential = Some(credential);
        row
    }

    /// What the table has no room for.
    fn tell(&self) {
        let labelled = if self.label.is_empty() { String::new() } else { format!(", called {:?}", self.label) };
        let domain = self.credential_of.as_ref().map_or_else(String::new, |domain| format!(" of @{domain}"));
        output::line(format!("\n{}", self.name));
        output::line(format!("  upstream    {}", self.upstream));
        output::line(format!("  credential  {}{domain}, since {}{labelled}", self.id, output::minute(self.since)));
        for (what, value) in [("client id", &self.client_id), ("tenant", &self.tenant)] {
            if let Some(value) = value {
                output::line(format!("  {what:<10}  {value}"));
            }
        }
        if let Some(since) = self.refresh_token_since {
            output::line(format!("  its token   since {}", output::minute(since)));
        }
        if let Some(end) = self.ends {
            output::line(format!("  ends        {}, {}", output::minute(end), until(end, Timestamp::now())));
        }
        for Other { place, id, label, state, ends } in &self.others {
            let called = if label.is_empty() { String::new() } else { format!(", called {label:?}") };
            let ends = ends.map_or_else(String::new, |end| format!(", ends {}", output::day(end)));
            output::line(format!("  {:<10}  {id}{called}, {state}{ends}", place.name()));
        }
    }

    fn tell_end(&mut self, end: Timestamp, now: Timestamp, credential: &OAuth2, again: &str) {
        let (what, given) = match &credential.authentication {
            Authentication::Certificate { .. } => ("certificate", "--certificate"),
            Authentication::Public | Authentication::Secret { .. } | Authentication::Key { .. } => {
                ("secret", "--secret-file")
            }
        };
        // An application that a person consented to needs no new consent, but that is how its secret is given.
        let again = match credential.grant {
            Grant::RefreshToken => format!("locum oauth login {}", self.name),
            Grant::ClientCredentials | Grant::ServiceAccount => again.to_owned(),
        };
        let (day, left) = (output::day(end), until(end, now));
        if end <= now {
            self.state = State::Over;
            self.notes.push(format!("its {what} ended on {day}: make a new one and give it with `{again} {given} …`"));
        } else if days(end, now) < WARNING_DAYS {
            self.state = State::EndsSoon;
            self.notes
                .push(format!("its {what} ends on {day}, {left}: make a new one and give it with `{again} {given} …`"));
        }
    }
}

impl Other {
    fn all(slots: &Slots) -> Vec<Self> {
        let of = |place, stored: &StoredCredential, state| Self {
            place,
            id: stored.id.clone(),
            label: stored.label.clone(),
            state,
            ends: OAuth2::from_stored(stored).ok().and_then(|credential| credential.expires()),
        };
        let next = slots
            .next
            .as_ref()
            .map(|next| of(Slot::Next, &next.credential, machine::state_name(&next.state).to_owned()));
        let previous = slots.previous.as_ref().map(|previous| {
            of(
                Slot::Previous,
                &previous.credential,
                format!("may be used until {}", output::minute(previous.retire_at)),
            )
        });
        next.into_iter().chain(previous).collect()
    }
}

/// When refresh tokens were handed out, and which are not there.
async fn add_refresh_tokens(directory: &Directory, rows: &mut [Row]) -> Result<()> {
    let reads = rows
        .iter_mut()
        .filter(|row| row.credential.as_ref().is_some_and(|credential| credential.grant == Grant::RefreshToken));
    let reads = reads.map(|row| async move {
        match directory.token(&row.kept_under, true).await {
            Ok(Some(found)) => row.refresh_token_since = Some(found.record.obtained),
            Ok(None) => {
                row.state = State::Unusable;
                row.notes.push(format!("it has no refresh token: run `locum oauth login {}`", row.name));
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                row.state = State::Unusable;
                row.notes.push(format!("its refresh token is damaged ({error}): run `locum oauth login {}`", row.name));
            }
        }
        Ok(())
    });
    stream::iter(reads).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(())
}

/// Asks the authority for a token by each.
async fn try_all(config: &Config, directory: &Directory, rows: &mut [Row]) -> Result<()> {
    let tokens = broker::tokens(directory.clone(), https(config)?, config.tokens.clone());
    let total = rows.len();
    let mut progress = Progress::begin("credentials");
    let tries = async {
        let mut tries =
            stream::iter(rows.iter_mut().map(|row| try_one(config, &tokens, row))).buffer_unordered(AT_ONCE);
        let mut done = 0;
        while tries.next().await.is_some() {
            done += 1;
            progress.show(done, total);
        }
    };
    super::while_run(&tokens, tries).await;
    progress.end();
    Ok(())
}

async fn try_one(config: &Config, tokens: &Tokens, row: &mut Row) {
    let Some(credential) = &row.credential else { return };
    let Some(authority) = config.upstreams.get(&row.upstream).and_then(|profile| profile.authority.clone()) else {
        row.token = Some(Token::Untried);
        row.notes.push(format!("not tried: the configuration has no authority for {}", row.upstream));
        return;
    };
    let subject = match (&row.mailbox, credential.grant) {
        (Some(mailbox), _) => mailbox.clone(),
        (None, Grant::ClientCredentials | Grant::RefreshToken) => String::new(), // such a token is for no mailbox alone
        (None, Grant::ServiceAccount) => {
            row.token = Some(Token::Untried);
            row.notes.push("not tried: it is for one mailbox at a time, so name an account of the domain".to_owned());
            return;
        }
    };
    let (version, kept_under, credential) = (credential.version(&row.id), row.kept_under.clone(), credential.clone());
    match tokens.access_token(&Wanted { version, kept_under, credential, authority, subject }).await {
        Ok(_) => row.token = Some(Token::Granted),
        Err(failure) => {
            let passes = failure.kind() == FailureKind::Transient;
            row.token = Some(if passes { Token::NotNow } else { Token::Refused });
            row.notes.push(failure.to_string());
        }
    }
}

/// An error if no token was given to one of those that were tried, and one that asks for another try if all may pass.
fn conclude(rows: &[Row]) -> Result<()> {
    let count = |token| rows.iter().filter(|row| row.token == Some(token)).count();
    let message = |count, what| format!("{count} of {} {what}: see what is said above", rows.len());
    Err(match (count(Token::Refused), count(Token::NotNow)) {
        (0, 0) => return Ok(()),
        (0, later) => Failure::new(exit::TEMPORARY, message(later, "got no token now")),
        (refused, _) => Failure::new(exit::DENIED, message(refused, "got no token")),
    }
    .into())
}

fn show(rows: &[Row], asked: &Status, none: &str) {
    let cells = rows.iter().map(|row| {
        let state = match (row.token, row.state) {
            (Some(Token::Granted), State::Good) => "token granted",
            (Some(Token::Granted), _) => "token granted !",
            (Some(Token::Refused), _) => "REFUSED",
            (Some(Token::NotNow), _) => "no token now",
            (_, State::Good) if asked.tried => "not tried",
            (_, State::Good) => "",
            (_, State::EndsSoon) => "ends soon",
            (_, State::Over) => "OVER",
            (_, State::Unusable) => "UNUSABLE",
        };
        [
            row.name.clone(),
            row.grant.clone().unwrap_or_default(),
            output::day(row.refresh_token_since.unwrap_or(row.since)),
            row.ends.map(output::day).unwrap_or_default(),
            state.to_owned(),
        ]
    });
    output::table(["NAME", "GRANT", "SINCE", "ENDS", "STATE"], cells.collect(), none);
    if !asked.names.is_empty() {
        rows.iter().for_each(Row::tell);
    }
    for row in rows {
        row.notes.iter().for_each(|note| output::note(format!("note: {}: {note}", row.name)));
    }
}
