//! What this node sees now: logins of the last hour, sessions, how it is.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::console::ROOT;
use crate::admin::console::parts::{Bar, Mood, bars, empty, number, shares, tile};
use crate::management::overview::Look;

/// Minutes that "now" means where logins are counted.
const NOW_MINUTES: usize = 5;

/// The numbers at the top.
pub(super) fn tiles(office: &Office, look: Option<&Look>) -> Markup {
    let hour = office.sessions.last_hour();
    let refused = |minute: &crate::session::Minute| minute.refused.values().sum::<u64>();
    let (logins, refusals) =
        hour.iter().fold((0, 0), |(all, bad), minute| (all + minute.succeeded, bad + refused(minute)));
    let lately: u64 = hour.iter().rev().take(NOW_MINUTES).map(|minute| minute.succeeded).sum();
    let sessions = office.sessions.live().len();
    let attention = look.map(|look| look.snapshot.attention_counts.values().sum::<usize>() + look.refused_total);
    let link = |path: &str| format!("{ROOT}{path}");
    let mood = |count: usize, bad: Mood| if count == 0 { Mood::Plain } else { bad };
    html! {
        div.tiles {
            (tile("Logins in the last hour", &number(logins), Mood::Plain, &format!("{:.1} a minute lately", lately as f64 / NOW_MINUTES as f64), &link("/audit?event=upstream&outcome=accepted")))
            (tile("Refused in the last hour", &number(refusals), mood(usize::from(refusals > logins && refusals > 0), Mood::Warning), "by cause, below", &link("/audit?event=decision&outcome=deny")))
            (tile("Live sessions", &number(sessions as u64), Mood::Plain, "on this node", &link("/sessions")))
            @if let Some(look) = look {
                @let snapshot = &look.snapshot;
                (tile("Accounts", &number(snapshot.accounts.total as u64), Mood::Plain, &format!("{} clients", number(snapshot.clients.total as u64)), &link("/accounts")))
                (tile("Rotations under way", &number(snapshot.rotations.under_way as u64), mood(snapshot.rotations.stuck + snapshot.rotations.failed, Mood::Warning),
                    &format!("{} stuck, {} refused", snapshot.rotations.stuck, snapshot.rotations.failed), &link("/rotations?state=open")))
            }
            @if let Some(attention) = attention {
                (tile("To see to", &number(attention as u64), mood(attention, Mood::Bad), if attention == 0 { "nothing" } else { "listed below" }, "#attention"))
            }
        }
    }
}

/// The chart of the last hour.
pub(super) fn logins(office: &Office) -> Markup {
    let all: Vec<Bar> = office
        .sessions
        .last_hour()
        .into_iter()
        .map(|minute| Bar {
            at: minute.at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string(),
            good: minute.succeeded,
            bad: minute.refused.values().sum(),
        })
        .collect();
    html! {
        section.card {
            header { h2 { "Logins a minute" } span.hint { "The last hour on this node, UTC." } }
            div.body data-live="logins" { (bars("Logins a minute in the last hour", "logged in", "refused", &all)) }
        }
    }
}

/// Why clients were refused in the last hour.
pub(super) fn refusals(office: &Office) -> Markup {
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for minute in office.sessions.last_hour() {
        minute.refused.iter().for_each(|(cause, count)| *causes.entry(cause).or_default() += count);
    }
    let mut all: Vec<(String, u64, String)> = causes
        .into_iter()
        .map(|(cause, count)| (described(cause).to_owned(), count, format!("{ROOT}/audit?{}", listed(cause))))
        .collect();
    all.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    html! {
        section.card {
            header { h2 { "Refused, by cause" } span.hint { "The last hour on this node." } }
            div data-live="refusals" {
                @if all.is_empty() { (empty("Nobody was refused", html! { "Wrong passwords, limits and refusals by providers are counted here." })) }
                @else { div.body { (shares(&all)) } }
            }
        }
    }
}

/// Where such refusals stand in the audit: it tells causes in words, so the link leads to who it was that refused.
fn listed(cause: &str) -> &'static str {
    const BY_PROVIDERS: [&str; 8] =
        ["auth-bad", "token", "auth-policy", "protocol-off", "mailbox-map", "limited", "refused", "untrusted"];
    match cause {
        // The store, or a provider: whoever looks sees both.
        "unavailable" => "",
        _ if BY_PROVIDERS.contains(&cause) => "event=upstream&outcome=failed",
        _ => "event=decision&outcome=deny",
    }
}

/// A cause in words.
fn described(cause: &str) -> &str {
    match cause {
        "wrong-credentials" => "wrong login or password",
        "not-permitted" => "not permitted",
        "unavailable" => "store or provider out of reach",
        "contact-admin" => "needs somebody here",
        "limit" | "limited" => "too many",
        "throttled" => "too many failures",
        "expired" => "secret or client expired",
        "protocol" => "protocol not allowed",
        "network" => "network not allowed",
        "listener" => "listener not allowed",
        "not-bound" => "not bound to the account",
        "credential" => "no usable credential",
        "store" => "store out of reach",
        "hung-up" => "did not wait for the provider",
        "auth-bad" => "provider refuses the credential",
        "auth-policy" => "provider forbids the way in",
        "protocol-off" => "protocol off at the provider",
        "mailbox-map" => "mailbox not found at the provider",
        "token" => "no access token",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_leads_to_where_it_stands_in_the_audit() {
        for (cause, query) in [
            ("wrong-credentials", "event=decision&outcome=deny"),
            ("store", "event=decision&outcome=deny"),
            ("auth-bad", "event=upstream&outcome=failed"),
            ("limited", "event=upstream&outcome=failed"),
            ("limit", "event=decision&outcome=deny"),
        ] {
            assert_eq!(listed(cause), query, "{cause}");
        }
    }
}
