//! The records that have credentials, a part at a time: first accounts, then the domains with a credential of their own.

use crate::management::{Damaged, Desk, Fault, ManagementError, Paging};
use crate::model::{Account, RecordId, RecordKind, Tenant, normalise};
use crate::rotation::Subject;

/// Records that are looked at for one part of a list: who asks waits, and goes on with the next paging.
const LOOKED_AT_MAX: usize = 2_000;

/// How a place among the domains is told from one among the accounts.
const TENANTS: &str = "tenants";

/// Some of them.
#[derive(Debug, Default)]
pub(in crate::management) struct Subjects {
    pub(in crate::management) accounts: Vec<Account>,
    pub(in crate::management) tenants: Vec<Tenant>,
    pub(in crate::management) damaged: Vec<Damaged>,
    pub(in crate::management) next: Option<String>,
}

impl Subjects {
    fn count(&self) -> usize {
        self.accounts.len() + self.tenants.len()
    }
}

/// Which of them are meant.
pub(in crate::management) struct Choice<'c> {
    pub(in crate::management) domain: Option<&'c str>,
    pub(in crate::management) account: &'c (dyn Fn(&Account) -> bool + Sync),
    pub(in crate::management) tenant: &'c (dyn Fn(&Tenant) -> bool + Sync),
}

/// As verbs take it: the account, or `@` and a domain.
pub fn typed(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => name.clone(),
        Subject::Tenant { domain } => format!("@{domain}"),
    }
}

/// A part of those that are meant.
pub(in crate::management) async fn page(
    desk: &Desk,
    choice: Choice<'_>,
    paging: &Paging,
) -> Result<Subjects, ManagementError> {
    let domain = choice.domain.map(|domain| normalise(domain.trim().trim_start_matches('@')));
    let is_in =
        |own: Option<&str>| domain.as_deref().is_none_or(|domain| own.map(normalise).as_deref() == Some(domain));
    let (mut kind, mut after) = place(paging.after.as_deref())?;
    let (mut found, mut looked_at) = (Subjects::default(), 0);
    loop {
        // Never more than there is room for, or the place to go on would be lost.
        let wanted = paging.limit.saturating_sub(found.count());
        looked_at += wanted;
        let (damaged, next) = if kind == RecordKind::Account {
            let page = desk.directory.accounts_page(after.as_ref(), wanted).await?;
            let records = page.records.into_iter().map(|it| it.record);
            found.accounts.extend(records.filter(|account: &Account| {
                is_in(account.name.rsplit_once('@').map(|(_, domain)| domain)) && (choice.account)(account)
            }));
            (page.damaged, page.next)
        } else {
            let page = desk.directory.tenants_page(after.as_ref(), wanted).await?;
            let records = page.records.into_iter().map(|it| it.record);
            found
                .tenants
                .extend(records.filter(|tenant: &Tenant| is_in(Some(&tenant.domain)) && (choice.tenant)(tenant)));
            (page.damaged, page.next)
        };
        found.damaged.extend(Damaged::all(damaged));
        after = next;
        if after.is_none() {
            if kind == RecordKind::Tenant {
                return Ok(found);
            }
            kind = RecordKind::Tenant;
        }
        if found.count() >= paging.limit || looked_at >= LOOKED_AT_MAX.max(paging.limit) {
            found.next = Some(cursor(kind, after.as_ref()));
            return Ok(found);
        }
    }
}

fn place(after: Option<&str>) -> Result<(RecordKind, Option<RecordId>), ManagementError> {
    let Some(after) = after else { return Ok((RecordKind::Account, None)) };
    if after == TENANTS {
        return Ok((RecordKind::Tenant, None));
    }
    let (kind, hash) = match after.strip_prefix(TENANTS).and_then(|rest| rest.strip_prefix('-')) {
        Some(hash) => (RecordKind::Tenant, hash),
        None => (RecordKind::Account, after),
    };
    let wrong = || ManagementError::new(Fault::Usage, "`after` takes what an earlier list told as its `next`");
    Ok((kind, Some(RecordId::from_hash(kind, hash).ok_or_else(wrong)?)))
}

fn cursor(kind: RecordKind, after: Option<&RecordId>) -> String {
    match (kind, after) {
        (RecordKind::Tenant, None) => TENANTS.to_owned(),
        (RecordKind::Tenant, Some(id)) => format!("{TENANTS}-{}", id.hash()),
        (_, Some(id)) => id.hash().to_owned(),
        (_, None) => String::new(), // never: where accounts end domains begin
    }
}
