//! Operators: who may look at this system and change it over HTTP. A token is shown to who had it made, once; what stands
//! here proves it. Whoever has the rights to write the store can make an operator, and nobody else can who is none.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operator_token::{self, TokenName, is_valid};
use super::{Desk, Fault, ManagementError, Page, Paging};
use crate::audit::Event;
use crate::broker::client_secret::NoRandomness;
use crate::broker::{Change, Versioned};
use crate::model::{Operator, OperatorToken, RecordId, RecordKind, Role, Secret, secret};
use crate::store::Version;

/// Tokens of one operator: one for each place that it signs in from, and some to change over.
const TOKENS_MAX: usize = 16;

/// Characters of an operator's name.
const NAME_CHARS_MAX: usize = 64;

/// Characters of a label.
const LABEL_CHARS_MAX: usize = 100;

/// Operators read at once when it is looked for another admin.
const LOOK_AT_ONCE: usize = 200;

/// Pages of operators that are looked through for another admin: far more than anybody has.
const LOOKS_MAX: usize = 100;

/// The name under which nodes change records.
const NODE: &str = "locum";

/// A new operator, with a first token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperator)]
pub struct New {
    /// The name, which stands in the audit and in what is changed: letters, digits and `. _ - + @`.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What the operator may do.
    pub role: Role,
    /// What the token is for.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub label: String,
    /// When the token ends; never without it.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// One more token for an operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOperatorToken)]
pub struct NewToken {
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub label: String,
    /// When it ends; never without it.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// A change of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OperatorChange)]
pub struct Changes {
    /// What the operator may do from now on.
    pub role: Role,
    /// Do it even if nobody with the role admin is left.
    #[serde(default)]
    pub even_last_admin: bool,
}

/// An operator as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Operator)]
pub struct Shown {
    /// Who it is.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it signs in with.
    pub tokens: Vec<ShownToken>,
    /// Who changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

/// A token as it is shown: not the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OperatorToken)]
pub struct ShownToken {
    /// Its id, by which the audit names it.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; null for never.
    #[schema(required)]
    pub expires: Option<Timestamp>,
    /// Whether it has ended.
    pub expired: bool,
}

/// A token that was made just now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = IssuedOperatorToken)]
pub struct Issued {
    /// Whose it is.
    pub operator: String,
    /// What that operator may do.
    pub role: Role,
    /// Its id.
    pub id: String,
    /// When it ends; null for never.
    #[schema(required)]
    pub expires: Option<Timestamp>,
    /// The token itself. It is shown this once.
    #[serde(with = "secret::in_record")]
    #[schema(value_type = String)]
    pub token: Secret,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The operator's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The id of the token.
    pub token: String,
    /// When the token ends.
    pub expires: Option<Timestamp>,
}

/// Something that an operator did or tried, for the audit.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// `sign-in`, or a method and a path.
    pub action: String,
    /// Why it was not done.
    pub reason: Option<String>,
    /// Whether it was not allowed.
    pub refused: bool,
    /// Who did it.
    pub actor: Option<String>,
    /// By which token.
    pub token: Option<String>,
    /// From where.
    pub peer: Option<IpAddr>,
    /// To what.
    pub subject: Option<String>,
}

impl From<Versioned<Operator>> for Shown {
    fn from(found: Versioned<Operator>) -> Self {
        Self::of(found, Timestamp::now())
    }
}

impl Shown {
    fn of(found: Versioned<Operator>, now: Timestamp) -> Self {
        let Versioned { record: Operator { name, role, tokens }, changed, .. } = found;
        let (changed_by, changed_at) = changed.map(|Change { by, at }| (by, at)).unzip();
        let tokens = tokens.into_iter().map(|token| ShownToken {
            expired: !is_valid(&token, now),
            id: token.id,
            label: token.label,
            created: token.created,
            expires: token.expires,
        });
        Self { name, role, tokens: tokens.collect(), changed_by, changed_at }
    }
}

/// A part of the list of operators.
///
/// # Errors
/// If the store does not answer, or the cursor is none.
pub async fn list(desk: &Desk, paging: &Paging) -> Result<Page<Shown>, ManagementError> {
    let after = paging.record(RecordKind::Operator)?;
    let page = desk.directory.operators_page(after.as_ref(), paging.limit).await?;
    let now = Timestamp::now();
    Ok(Page::of(page, |found| Shown::of(found, now)))
}

/// One operator.
///
/// # Errors
/// [`Fault::Missing`] if there is none of that name.
pub async fn show(desk: &Desk, name: &str) -> Result<Shown, ManagementError> {
    Ok(Shown::of(find(desk, name).await?, Timestamp::now()))
}

/// Makes an operator with a first token.
///
/// # Errors
/// [`Fault::Exists`] if there is one of that name.
pub async fn add(desk: &Desk, new: &New) -> Result<Issued, ManagementError> {
    let name = check_name(&new.name)?;
    if desk.directory.operator(name).await?.is_some() {
        let message = format!("there is an operator {name} already; give it another token, or take another name");
        return Err(ManagementError::new(Fault::Exists, message));
    }
    let token = NewToken { label: new.label.clone(), expires: new.expires };
    let operator = Operator { name: name.to_owned(), role: new.role, tokens: Vec::new() };
    let issued = issue(desk, operator, None, &token).await?;
    note(desk, "operator-add", format!("{name} ({})", new.role), &issued.id);
    Ok(issued)
}

/// Gives an operator one more token.
///
/// # Errors
/// [`Fault::Missing`] if there is no such operator, [`Fault::Exists`] if it has as many as it may have.
pub async fn add_token(desk: &Desk, name: &str, new: &NewToken) -> Result<Issued, ManagementError> {
    let Versioned { record, version, .. } = find(desk, name).await?;
    if record.tokens.len() >= TOKENS_MAX {
        let message = format!("{name} has {TOKENS_MAX} tokens already; revoke one first");
        return Err(ManagementError::new(Fault::Exists, message));
    }
    let issued = issue(desk, record, Some(version), new).await?;
    note(desk, "operator-token", issued.operator.clone(), &issued.id);
    Ok(issued)
}

/// Changes what an operator may do.
///
/// # Errors
/// [`Fault::Missing`] if there is no such operator; [`Fault::Conflict`] if it is the last admin and that was not said.
pub async fn change(desk: &Desk, name: &str, changes: &Changes) -> Result<Shown, ManagementError> {
    let Versioned { mut record, version, .. } = find(desk, name).await?;
    if changes.role < Role::Admin && !changes.even_last_admin {
        check_not_last(desk, &record, None).await?;
    }
    record.role = changes.role;
    desk.directory.put_operator(&record, Some(version)).await?;
    note(desk, "operator-role", format!("{} ({})", record.name, record.role), "");
    show(desk, name).await
}

/// Revokes an operator with all its tokens.
///
/// # Errors
/// As for [`change`].
pub async fn revoke(desk: &Desk, name: &str, even_last_admin: bool) -> Result<(), ManagementError> {
    let Versioned { record, version, .. } = find(desk, name).await?;
    if !even_last_admin {
        check_not_last(desk, &record, None).await?;
    }
    desk.directory.remove_operator(&record.name, version).await?;
    note(desk, "operator-revoke", record.name, "");
    Ok(())
}

/// Revokes one token of an operator, who stays even if it was the last.
///
/// # Errors
/// As for [`change`]; [`Fault::Missing`] if there is no such token, too.
pub async fn revoke_token(desk: &Desk, name: &str, id: &str, even_last_admin: bool) -> Result<(), ManagementError> {
    let Versioned { mut record, version, .. } = find(desk, name).await?;
    if !record.tokens.iter().any(|token| token.id == id) {
        return Err(ManagementError::missing(format!("{name} has no token {id}")));
    }
    if !even_last_admin {
        check_not_last(desk, &record, Some(id)).await?;
    }
    record.tokens.retain(|token| token.id != id);
    desk.directory.put_operator(&record, Some(version)).await?;
    note(desk, "operator-revoke", record.name, id);
    Ok(())
}

/// Whose token that is; `None` if it is good for nothing. It says not why, and takes the same time for all reasons, as far
/// as the store does.
///
/// # Errors
/// If the store does not answer.
pub async fn sign_in(desk: &Desk, token: &Secret) -> Result<Option<SignedIn>, ManagementError> {
    let Some(name) = TokenName::read(token) else { return Ok(None) };
    let found = desk.directory.known_operator(&name.operator).await?.map(|found| found.record);
    let proven = name.proven(found.as_ref(), token, Timestamp::now());
    Ok(found.as_ref().zip(proven).map(|(operator, token)| SignedIn::of(operator, token)))
}

/// The operator of that name with that token, as they are by now: `None` if either is gone or has ended.
///
/// # Errors
/// If the store does not answer.
pub async fn still(desk: &Desk, name: &str, token: &str) -> Result<Option<SignedIn>, ManagementError> {
    let id = RecordId::new(RecordKind::Operator, name);
    let Some(found) = desk.directory.known_operator(&id).await? else { return Ok(None) };
    let now = Timestamp::now();
    let held = found.record.tokens.iter().find(|it| it.id == token && is_valid(it, now));
    Ok(held.map(|token| SignedIn::of(&found.record, token)))
}

impl SignedIn {
    fn of(operator: &Operator, token: &OperatorToken) -> Self {
        let (name, role) = (operator.name.clone(), operator.role);
        Self { name, role, token: token.id.clone(), expires: token.expires }
    }
}

impl Desk {
    /// Puts down in the audit what an operator did or tried.
    pub fn note(&self, deed: Deed) {
        let outcome = match (&deed.reason, deed.refused) {
            (_, true) => "refused",
            (Some(_), false) => "failed",
            (None, false) => "done",
        };
        let Deed { action, reason, actor, token, peer, subject, .. } = deed;
        self.audit.record_step(&Event::Operator { action, outcome, reason, actor, token, peer, subject });
    }
}

fn note(desk: &Desk, action: &str, subject: String, token: &str) {
    let subject = if token.is_empty() { subject } else { format!("{subject}, token {token}") };
    let (action, actor) = (action.to_owned(), Some(desk.author.to_string()));
    desk.note(Deed { action, actor, subject: Some(subject), ..Deed::default() });
}

async fn find(desk: &Desk, name: &str) -> Result<Versioned<Operator>, ManagementError> {
    let name = check_name(name)?;
    let missing = || ManagementError::missing(format!("there is no operator {name}"));
    desk.directory.operator(name).await?.ok_or_else(missing)
}

/// Writes an operator with one more token.
async fn issue(
    desk: &Desk,
    mut operator: Operator,
    found: Option<Version>,
    new: &NewToken,
) -> Result<Issued, ManagementError> {
    let now = Timestamp::now();
    let label = new.label.trim();
    if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        let message = format!("a label has up to {LABEL_CHARS_MAX} characters, none of them a control character");
        return Err(ManagementError::invalid(message));
    }
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(ManagementError::invalid("a token that expires in the past would be good for nothing"));
    }
    let none = |error: NoRandomness| ManagementError::new(Fault::Temporary, error.to_string());
    let (record, token) = operator_token::issue(&operator.name, label, new.expires, now).map_err(none)?;
    let id = record.id.clone();
    operator.tokens.push(record);
    desk.directory.put_operator(&operator, found).await?;
    Ok(Issued { operator: operator.name, role: operator.role, id, expires: new.expires, token })
}

/// Whether there is an operator with the role admin and a token that is good for something.
///
/// # Errors
/// If the store does not answer.
pub async fn is_there_an_admin(desk: &Desk) -> Result<bool, ManagementError> {
    let now = Timestamp::now();
    is_there(desk, |operator| is_admin(operator, None, now)).await
}

/// Whether somebody is left who can make operators over HTTP, when that token, or all of them, is good for nothing.
async fn check_not_last(desk: &Desk, operator: &Operator, token: Option<&str>) -> Result<(), ManagementError> {
    let now = Timestamp::now();
    // Who is none is missed by nobody; and with one token of several there are the others.
    let is_one_less = is_admin(operator, None, now) && (token.is_none() || !is_admin(operator, token, now));
    if !is_one_less || is_there(desk, |other| other.name != operator.name && is_admin(other, None, now)).await? {
        return Ok(());
    }
    let message = format!(
        "{} is the last who can make operators over HTTP; make another admin first, or say that it is meant \
         (even_last_admin)",
        operator.name
    );
    Err(ManagementError::new(Fault::Conflict, message))
}

/// Whether it can make operators, by any token but that.
fn is_admin(operator: &Operator, but: Option<&str>, now: Timestamp) -> bool {
    let mut left = operator.tokens.iter().filter(|it| is_valid(it, now) && but != Some(it.id.as_str()));
    operator.role == Role::Admin && left.next().is_some()
}

async fn is_there(desk: &Desk, is_it: impl Fn(&Operator) -> bool) -> Result<bool, ManagementError> {
    let mut after = None;
    for _ in 0..LOOKS_MAX {
        let page = desk.directory.operators_page(after.as_ref(), LOOK_AT_ONCE).await?;
        if page.records.iter().any(|found| is_it(&found.record)) {
            return Ok(true);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(false)
}

/// What can stand in an audit, in a path and in a table, and is nobody else's.
fn check_name(name: &str) -> Result<&str, ManagementError> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
    let length = 1..=NAME_CHARS_MAX;
    if !length.contains(&name.chars().count()) || !name.chars().all(is_fit) {
        let message = format!("an operator's name has 1 to {NAME_CHARS_MAX} characters: letters, digits and . _ - + @");
        return Err(ManagementError::invalid(message));
    }
    if name.eq_ignore_ascii_case(NODE) {
        return Err(ManagementError::invalid(format!("`{NODE}` is what nodes are called; take another name")));
    }
    Ok(name)
}
