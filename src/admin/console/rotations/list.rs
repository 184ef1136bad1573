//! All rotations by their state, and what is due.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::console::accounts::state_badge;
use crate::admin::console::fields::Asked;
use crate::admin::console::lists;
use crate::admin::console::page::{Page, Place};
use crate::admin::console::parts::{Choice, Field, Mood, Side, Table, ago, badge, choose, empty, search};
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::rotation::{self, DueItem, DueWanted, RotationView, RotationsWanted};

/// Rows of each list. Of more there are the first ones: what is worst stands above.
const SHOWN_MAX: usize = 200;

/// What there is to choose.
const STATES: [Choice<'_>; 8] = [
    ("open", "any that is open"),
    ("", "all"),
    ("staged", "staged"),
    ("verified", "verified"),
    ("failed", "failed"),
    ("overlap", "overlap"),
    ("to retire", "to retire"),
    ("to delete", "to delete"),
];

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    asked: Asked,
) -> Answer<Markup> {
    let desk = visitor.desk(&office);
    let state = if asked.is_named("state") { asked.text("state") } else { "open" };
    let wanted = RotationsWanted { state: Some(state.to_owned()), ..RotationsWanted::default() };
    let found = rotation::of_all(&desk, &wanted).await?;
    let name = asked.text("q");
    let views: Vec<&RotationView> = found.items.iter().filter(|view| lists::has(name, &[&view.name])).collect();
    let due = rotation::due(&desk, &DueWanted::default()).await?.items;
    let choice = choose(Field::new("State", "state").value(state), &STATES);
    Ok(Page::new(&visitor, Place::Rotations, "Rotations")
        .lead(html! { "One credential takes the place of another, and no client notices." })
        .of(html! {
            (search(&format!("{ROOT}/rotations"), "Account or @domain", name, choice))
            (lists::damaged(&found.damaged))
            section.card aria-label="Rotations" { (table(&views)) }
            @if views.len() > SHOWN_MAX { p.hint { "The first " (SHOWN_MAX) " of " (views.len()) " are shown." } }
            section.card #due { header { h2 { "Due" } span.hint { "What somebody has to do about credentials, the most urgent first." } } (due_table(&due)) }
        }))
}

fn table(views: &[&RotationView]) -> Markup {
    let columns = [
        ("Account", Side::Left),
        ("Kind", Side::Left),
        ("State", Side::Left),
        ("Last step", Side::Left),
        ("At the provider", Side::Right),
    ];
    let row = |view: &&RotationView| {
        let path = format!("{}?kind={}", paths::item("rotations", &view.name), view.places.kind.name());
        vec![
            html! { a href=(path) { (view.name) } span.hint { (view.upstream) } },
            html! { (view.places.kind.to_string()) },
            html! { @if view.state.is_empty() { span.soft { "–" } } @else { (state_badge(&view.state)) } },
            html! { @if let Some(last) = view.history.last() { (last.step) " " (ago(last.at)) span.hint { "by " (last.by) } } },
            html! { (view.at_provider) @if let Some(max) = view.at_provider_max { span.soft { " of " (max) } } },
        ]
    };
    Table::new("Rotations", &columns).rows(views.iter().take(SHOWN_MAX).map(row)).or(empty(
        "Nothing is open",
        html! { "Every credential is current and alone. Begin a rotation at an " a href={(ROOT) "/accounts"} { "account" } "." },
    ))
}

fn due_table(due: &[DueItem]) -> Markup {
    let columns = [("Account", Side::Left), ("Why", Side::Left), ("When", Side::Left), ("What to do", Side::Left)];
    let row = |item: &DueItem| {
        let path = format!("{}?kind={}", paths::item("rotations", &item.account), item.kind.name());
        let mood = if ["ended", "failed"].contains(&item.why.as_str()) { Mood::Bad } else { Mood::Warning };
        vec![
            html! { a href=(path) { (item.account) } span.hint { (item.kind.to_string()) } },
            badge(mood, &item.why_in_words),
            ago(item.at),
            html! { span.soft { (item.todo) } },
        ]
    };
    Table::new("What is due", &columns)
        .rows(due.iter().take(SHOWN_MAX).map(row))
        .or(empty("Nothing is due", html! { "No credential is too old, ends soon, or waits for somebody." }))
}
