//! A word about how something is, in the colour of that. The word says all; the colour helps the eye.

use maud::{Markup, html};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::admin::console) enum Mood {
    Good,
    Busy,
    Plain,
    Warning,
    Bad,
}

impl Mood {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Plain => "plain",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// The word.
pub(in crate::admin::console) fn badge(mood: Mood, text: &str) -> Markup {
    html! { span.badge.(mood.class()) { (text) } }
}

/// The same in a line of text.
pub(in crate::admin::console) fn dot(mood: Mood, text: &str) -> Markup {
    html! { span.dot.(mood.class()) { (text) } }
}
