//! What the records say: what somebody has to see to, who breaks on which day, what exists at providers, and how the store
//! is.

use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::console::parts::{
    Facts, Icon, Mood, Side, Table, ago, badge, dot, empty, icon, meter, number, span_of,
};
use crate::admin::console::{ROOT, paths};
use crate::management::overview::{Attention, DateTotals, Look, Snapshot};
use crate::store::Condition;

/// Things to see to that the overview names; the lists have all.
const NAMED_MAX: usize = 12;

/// What somebody has to see to, the most urgent first, each with what to do.
pub(super) fn attention(look: &Look) -> Markup {
    let all: Vec<&Attention> = look.refused.iter().chain(&look.snapshot.attention).collect();
    let total = look.refused_total + look.snapshot.attention_counts.values().sum::<usize>();
    html! {
        section.card #attention {
            header {
                h2 { "To see to" }
                @if total > 0 { a href={(ROOT) "/rotations#due"} { "All that is due" } }
            }
            @if all.is_empty() {
                (empty("Nothing needs you", html! { "No credential is refused, ends soon or waits for somebody." }))
            } @else {
                ul.todo { @for item in all.iter().take(NAMED_MAX) { (todo(item)) } }
                @if total > NAMED_MAX { footer { span.hint { "and " (number((total - NAMED_MAX) as u64)) " more" } } }
            }
            @if look.snapshot.unreadable > 0 {
                footer { (dot(Mood::Bad, &format!("{} records cannot be read; `locum check` names them", look.snapshot.unreadable))) }
            }
        }
    }
}

fn todo(item: &Attention) -> Markup {
    let is_bad = ["refused", "ended", "failed", "no-credential"].contains(&item.why);
    let (class, picture) = if is_bad { ("bad", Icon::Bad) } else { ("warning", Icon::Warning) };
    let path = match (&item.account, &item.client) {
        (Some(account), _) if item.why == "no-credential" && !account.starts_with('@') => {
            paths::item("accounts", account)
        }
        (Some(account), _) => {
            let kind = item.kind.map(|kind| format!("?kind={}", kind.name())).unwrap_or_default();
            format!("{}{kind}", paths::item("rotations", account))
        }
        (None, Some(client)) => paths::item("clients", client),
        (None, None) => ROOT.to_owned(),
    };
    html! {
        li class=(class) {
            (icon(picture))
            div {
                p { a.what href=(path) { (item.account.as_deref().or(item.client.as_deref()).unwrap_or("?")) } " " (item.text) }
                p.hint { (item.todo) }
            }
            span.hint { (ago(item.at)) }
        }
    }
}

/// Who breaks on which of a provider's days.
pub(super) fn dates(snapshot: &Snapshot) -> Markup {
    let columns = [
        ("Day", Side::Left),
        ("Provider", Side::Left),
        ("What changes", Side::Left),
        ("Accounts", Side::Right),
        ("Locked out", Side::Right),
    ];
    let coming: Vec<&DateTotals> = snapshot.dates.iter().filter(|date| !date.passed || date.accounts > 0).collect();
    let row = |date: &&DateTotals| {
        let list = format!("{ROOT}/usage/dates#{}", anchor(date));
        vec![
            html! {
                strong.nowrap { @match date.day { Some(day) => (day), None => "no day yet" } }
                @if date.passed { span.hint { "passed" } }
            },
            html! { (date.upstream) },
            html! { span.soft { (date.what) } },
            html! { @if date.ends.is_none() { span.soft { "–" } } @else { a href=(list) { (number(date.accounts as u64)) } } },
            html! {
                @if date.breaking > 0 {
                    a href=(list) { (badge(Mood::Bad, &format!("{} accounts, {} clients", date.breaking, date.clients))) }
                } @else if date.ends.is_some() { (badge(Mood::Good, "nobody")) }
            },
        ]
    };
    html! {
        section.card {
            header { h2 { "What providers change, and who breaks" } a href={(ROOT) "/usage/dates"} { "Accounts and clients by day" } }
            (Table::new("What providers change, and who breaks", &columns).rows(coming.iter().map(row)).or(empty("No day is known", html! { "No provider of yours has announced a change." })))
        }
    }
}

/// Where the accounts of a day are, on the page of all days.
pub(in crate::admin::console) fn anchor(date: &DateTotals) -> String {
    format!("{}-{}", date.upstream, date.day.map_or_else(|| "open".to_owned(), |day| day.to_string()))
}

/// What exists at providers, against what they allow.
pub(super) fn inventory(snapshot: &Snapshot) -> Markup {
    let columns =
        [("Provider", Side::Left), ("App passwords", Side::Right), ("Room", Side::Left), ("To delete", Side::Right)];
    let rows = snapshot.inventory.iter().map(|(upstream, totals)| {
        let full = totals.full + totals.nearly_full;
        let accounts = snapshot.accounts.by_upstream.get(upstream).copied().unwrap_or(0);
        vec![
            html! { (upstream) @if let Some(max) = totals.app_passwords_max { span.hint { "at most " (max) " for one user" } } },
            html! { (number(totals.app_passwords as u64)) },
            html! {
                @if totals.full > 0 { (badge(Mood::Bad, &format!("{} full", totals.full))) }
                @if totals.nearly_full > 0 { (badge(Mood::Warning, &format!("{} nearly full", totals.nearly_full))) }
                @if full == 0 { span.soft { "enough" } }
                @if totals.app_passwords_max.is_some() && accounts > 0 { (meter(full as u64, accounts as u64, Mood::Warning, "")) }
            },
            html! { @if totals.to_delete > 0 { a href={(ROOT) "/rotations?state=to%20delete"} { (number(totals.to_delete as u64)) } } @else { "0" } },
        ]
    });
    html! {
        section.card {
            header { h2 { "App passwords at providers" } }
            (Table::new("App passwords at providers", &columns).rows(rows).or(empty("None", html! { "No account has an app password." })))
        }
    }
}

/// How the store is, and what else is worth a look.
pub(super) fn health(office: &Office, snapshot: &Snapshot) -> Markup {
    let store = match &office.watched.store {
        None => html! { (dot(Mood::Good, "a file of this machine")) },
        Some(store) => {
            let status = store.health.status();
            let lasting = span_of(i64::try_from(status.lasting.as_secs()).unwrap_or(i64::MAX));
            match status.condition {
                Condition::Up => html! { (dot(Mood::Good, "answers")) span.hint { " for " (lasting) } },
                Condition::Unreached { reason } => {
                    html! { (dot(Mood::Bad, "not reached yet")) @if let Some(reason) = reason { p.hint { (reason) } } }
                }
                Condition::Down { reason } => html! {
                    (dot(Mood::Bad, "does not answer")) span.hint { " for " (lasting) }
                    p.hint { (reason) ". Clients that this node knows log in from its memory; see to the store." }
                },
            }
        }
    };
    let count =
        |number: usize, path: &str| html! { @if number == 0 { "0" } @else { a href={(ROOT) (path)} { (number) } } };
    let facts = Facts::default()
        .with("Store", store)
        .with("Overlap", html! { (count(snapshot.rotations.overlap, "/rotations?state=overlap")) span.soft { " with the one before still usable" } })
        .with("To retire", count(snapshot.rotations.to_retire, "/rotations?state=to%20retire"))
        .with("Without TLS of today", count(snapshot.clients.weak_tls, "/usage?weak_tls=yes"))
        .with("Secrets not made here", html! { (snapshot.clients.enrolled) span.soft { " imported or learnt" } })
        .with("Accounts without client", html! { (snapshot.accounts.without_client) })
        .maybe("Who was seen", snapshot.seen_unknown.as_ref().map(|why| html! { span.soft { "unknown: " (why) } }));
    html! { section.card { header { h2 { "Store and records" } } div.body { (facts.list()) } } }
}
