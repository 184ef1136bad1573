//! The rotation of one credential, step by step: what to do in the provider's portal beside where it is pasted, what was
//! verified, and what is to be deleted there in the end.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::{history, kind, places, watch};
use crate::admin::Office;
use crate::admin::caller::Viewing;
use crate::admin::console::accounts::state_badge;
use crate::admin::console::fields::Asked;
use crate::admin::console::page::{Page, Place, post};
use crate::admin::console::parts::{Field, Mood, ago, danger, empty, input, minute, note, primary, quiet};
use crate::admin::console::portal::Portal;
use crate::admin::console::visitor::Visitor;
use crate::admin::console::{ROOT, paths};
use crate::admin::problem::Answer;
use crate::management::rotation::{self, RotationView, Step};
use crate::model::{CredentialKind, Leftover, LeftoverReason, Role};

/// Seconds after which a page is read again on which something is under way.
const REFRESH: u32 = 2;

/// What a page of a rotation needs to draw its steps.
pub(super) struct Scene<'a> {
    visitor: &'a Visitor,
    view: &'a RotationView,
    portal: Portal,
}

pub(super) async fn show(
    _: Viewing,
    visitor: Visitor,
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Answer<Markup> {
    let desk = visitor.desk(&office);
    let subject = rotation::subject(&name, kind(&asked))?;
    let view = rotation::of_subject(&desk, &subject).await?;
    let profile = desk.profiles.get(&view.upstream).map(|profile| &**profile);
    let scene = Scene { visitor: &visitor, view: &view, portal: Portal::of(&view.upstream, profile) };
    let operation = watch::of(&office.operations, &view.name, asked.text("operation"));
    let is_running = operation.as_ref().is_some_and(watch::is_running);
    let lead = html! {
        span { (view.places.kind.to_string()) " at " strong { (view.upstream) } }
        @if !view.state.is_empty() { (state_badge(&view.state)) }
    };
    let page = Page::new(&visitor, Place::Rotations, format!("Rotate {}", view.name))
        .below("Rotations", format!("{ROOT}/rotations"));
    let page = if is_running { page.refreshed(REFRESH) } else { page };
    let is_account = !view.name.starts_with('@');
    let account = is_account.then(|| html! { a.button href=(paths::item("accounts", &view.name)) { "Account" } });
    Ok(page.lead(lead).actions(account).of(html! {
        @if let Some(operation) = &operation { (watch::progress(operation)) }
        section.card { header { h2 { "Places" } } div.body { (places(&view)) } }
        @if visitor.may(Role::Operator) {
            section.card { header { h2 { "Steps" } } div.body { (scene.steps(is_running)) } }
        } @else if let Some(command) = &view.next_command {
            (note(Mood::Plain, html! { p { "Next, for an operator: " code { (command) } } }))
        }
        section.card { header { h2 { "To delete in the portal" } } (scene.check_list()) }
        section.card {
            header { h2 { "What was done" } }
            @if view.history.is_empty() { (empty("Nothing yet", html! { "Steps appear here as they are taken." })) }
            @else { div.body { (history(&view.history)) } }
        }
    }))
}

impl Scene<'_> {
    /// A form of a step.
    fn form(&self, step: &str, content: Markup) -> Markup {
        let kind = self.view.places.kind.name();
        post(
            self.visitor,
            &format!("{}/{step}", paths::item("rotations", &self.view.name)),
            html! {
                input type="hidden" name="kind" value=(kind);
                (content)
            },
        )
    }

    fn steps(&self, is_running: bool) -> Markup {
        let (places, possible) = (&self.view.places, &self.view.possible);
        let next = places.next.as_ref();
        let is_verified = next.is_some_and(|next| next.state == "verified");
        let has_failed = next.is_some_and(|next| next.state == "failed");
        let at = match (next.is_some(), is_verified, places.previous.is_some()) {
            (false, _, true) => 3,
            (false, _, false) => 0,
            (true, false, _) => 1,
            (true, true, _) => 2,
        };
        let class = |step: usize| {
            if step < at {
                "done"
            } else if step == at {
                "now"
            } else {
                "later"
            }
        };
        html! {
            ol.steps {
                li class=(class(0)) { div { h3 { "Make a new one, and paste it" } @if at == 0 { (self.stage()) } @else if let Some(next) = next {
                    p.hint { "Staged " (ago(next.staged)) " by " (next.staged_by) ". Logins use the current one until it is promoted." }
                    @if possible.discard.possible { (self.discard(has_failed)) }
                } } }
                li class=(class(1)) { div { h3 { "Verify it: log in with it" } @if at == 1 { (self.verify(is_running)) } @else if is_verified { p.hint { "The provider takes it." } } } }
                li class=(class(2)) { div { h3 { "Promote it: clients use it from the next login on" } @if at == 2 { (self.promote()) } } }
                li class=(class(3)) { div { h3 { "Retire the one before, when nobody uses it any more" } @if places.previous.is_some() { (self.overlap()) } } }
            }
        }
    }

    fn stage(&self) -> Markup {
        if let Some(why) = why_not(&self.view.possible.stage) {
            return why;
        }
        if self.view.places.kind == CredentialKind::OAuth2 {
            return self.stage_secret();
        }
        let label = self.label();
        html! {
            div.columns {
                div.form { (self.portal.steps(&label)) }
                div.form {
                    (self.form("stage", html! {
                        (input(Field::new("New app password", "secret").kind("password").required()
                            .hint("As the portal shows it. It is stored beside the current one; no login uses it yet.")))
                        (input(Field::new("Label in the portal", "label").value(&label)))
                        div.buttons { (primary("Stage it")) }
                    }))
                }
            }
        }
    }

    fn stage_secret(&self) -> Markup {
        html! {
            div.form {
                p { "Add a new secret to the application in its portal, and paste it here with its end. For a certificate, or a key that is made here: "
                    code { "locum rotate stage" } "." }
                (self.form("stage", html! {
                    (input(Field::new("New secret of the application", "secret").kind("password").required()))
                    (input(Field::new("Ends", "expires").kind("date").hint("As the portal shows it; Locum reminds of it 30 days before.")))
                    (input(Field::new("Label in the portal", "label").value(&self.label())))
                    div.buttons { (primary("Stage it")) }
                }))
            }
        }
    }

    fn verify(&self, is_running: bool) -> Markup {
        html! {
            @if is_running {
                p.hint { "It is under way; see above." }
            } @else if let Some(why) = why_not(&self.view.possible.verify) {
                (why)
            } @else {
                p { "Locum logs in with what is staged, by each protocol that takes it. Clients notice nothing." }
                (self.form("verify", html! { div.buttons { (primary("Verify it")) } }))
            }
        }
    }

    fn promote(&self) -> Markup {
        html! {
            @if let Some(why) = why_not(&self.view.possible.promote) {
                (why)
                @if self.view.possible.retire_now.possible { (self.retire_now()) }
            } @else {
                p { "Sessions that are open stay as they are. The one before is kept for a while, to go back to." }
                div.buttons {
                    (self.form("promote", primary("Promote it")))
                    (self.form("verify", quiet("Verify again")))
                }
            }
        }
    }

    fn overlap(&self) -> Markup {
        let possible = &self.view.possible;
        let previous = self.view.places.previous.as_ref();
        html! {
            @if let Some(previous) = previous {
                p.hint {
                    @if previous.usable { "Logins fall back on it where the current one is refused, until " (minute(previous.usable_until)) "." }
                    @else { "The provider does not take it any more." }
                }
            }
            div.buttons {
                @if possible.retire.possible { (self.form("retire", primary("Retire it"))) }
                @else if possible.retire_now.possible { (self.retire_now()) }
                @if possible.roll_back.possible && previous.is_some_and(|previous| previous.usable && !previous.rolled_back) {
                    (self.form("rollback", quiet("Roll back")))
                }
            }
        }
    }

    fn retire_now(&self) -> Markup {
        self.form(
            "retire-now",
            danger("Retire it now", "After this there is no way back to the one before. Retire it?"),
        )
    }

    fn discard(&self, has_failed: bool) -> Markup {
        let button = if has_failed { primary("Discard it") } else { quiet("Discard it") };
        self.form("discard", html! { div.buttons { (button) } })
    }

    /// What to call a new one in the portal: nothing that is called so is in a place, or is to be deleted.
    fn label(&self) -> String {
        let places = &self.view.places;
        let placed = [
            places.current.as_ref(),
            places.next.as_ref().map(|it| &it.stored),
            places.previous.as_ref().map(|it| &it.stored),
        ];
        let placed = placed.into_iter().flatten().map(|it| it.label.as_str());
        let taken: Vec<&str> = placed.chain(places.to_delete.iter().map(|left| left.label.as_str())).collect();
        let month = Timestamp::now().to_zoned(TimeZone::UTC).strftime("locum %Y-%m").to_string();
        let names =
            std::iter::once(month.clone()).chain((2..=taken.len() + 2).map(|number| format!("{month} {number}")));
        names.into_iter().find(|name| !taken.contains(&name.as_str())).unwrap_or(month)
    }

    fn check_list(&self) -> Markup {
        let left = &self.view.places.to_delete;
        if left.is_empty() {
            return empty(
                "Nothing is left over",
                html! { "What is retired or discarded appears here, to be ticked off once it is deleted in the portal." },
            );
        }
        let boxes = html! {
            ul.todo { @for left in left { li { (self.box_of(left)) label for={"left-" (left.id)} { (leftover(left)) } } } }
        };
        html! {
            div.body { (self.portal.deletion()) }
            @if self.visitor.may(Role::Operator) {
                (self.form("deleted", html! { (boxes) div.body { div.buttons { (primary("Tick off what was deleted")) } } }))
            } @else { (boxes) }
        }
    }

    fn box_of(&self, left: &Leftover) -> Markup {
        html! {
            @if self.visitor.may(Role::Operator) {
                input id={"left-" (left.id)} type="checkbox" name="deleted" value=(left.id);
            } @else { span {} }
        }
    }
}

fn leftover(left: &Leftover) -> Markup {
    html! {
        p.what { @if left.label.is_empty() { span.mono { (left.id) } } @else { (left.label) } }
        p.hint {
            (why(left.why)) " " (ago(left.since)) " by " (left.by)
            @if let Some(upstream) = &left.upstream { ", at " (upstream) }
        }
    }
}

fn why(reason: LeftoverReason) -> &'static str {
    match reason {
        LeftoverReason::Retired => "retired",
        LeftoverReason::Discarded => "discarded",
        LeftoverReason::Moved => "left behind",
        LeftoverReason::Asked => "asked of a command that never answered, so that it may not exist;",
    }
}

/// Why a step cannot be taken, if it cannot.
fn why_not(step: &Step) -> Option<Markup> {
    let why = step.why_not.as_deref()?;
    Some(note(Mood::Warning, html! { p { (crate::admin::console::page::sentence(why)) } }))
}
