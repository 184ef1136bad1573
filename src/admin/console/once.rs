//! A secret that was made just now, on the one page that shows it. It must never be called but with what was taken out of
//! where it waited: whoever loads the page again is told that it is gone.

use maud::{Markup, html};

use super::browsers::Made;
use super::parts::{Facts, Mood, note};

/// What was made, and what to do with it; or that it was shown already.
pub(super) fn shown(made: Option<&Made>, what_to_do: &str, path: &str, back: &str) -> Markup {
    let Some((made, text)) = made.and_then(|made| Some((made, made.secret.expose_text()?))) else {
        return html! {
            (note(Mood::Warning, html! {
                p { strong { "It was shown already, or a minute has passed." } }
                p { "Nobody can show it again. Make another one, and revoke this one." }
            }))
            p { a.button href=(path) { (back) } }
        };
    };
    html! {
        section.card aria-label="The secret" {
            div.body.once {
                (note(Mood::Warning, html! { p { strong { "This is shown once." } " It is nowhere else; leave this page only when it is where it belongs." } }))
                div {
                    p.secret #secret { (text) }
                }
                p.hint { (what_to_do) }
                (Facts::default().with("Belongs to", html! { (made.of) }).with("Its id, in lists and the audit", html! { span.mono { (made.id) } }).list())
                div.buttons {
                    button.primary type="button" data-copy="secret" hidden { "Copy" }
                    a.button href=(path) { (back) }
                }
            }
        }
    }
}
