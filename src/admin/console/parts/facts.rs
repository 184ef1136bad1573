//! Names and what they stand for; numbers that lead to a list; what is said where there is nothing.

use maud::{Markup, html};

use super::badge::Mood;
use super::icon::{Icon, icon};

/// Names and what they stand for, one below the other.
#[derive(Debug, Default)]
pub(in crate::admin::console) struct Facts(Vec<(&'static str, Markup)>);

impl Facts {
    /// The same with one more.
    pub(in crate::admin::console) fn with(mut self, name: &'static str, what: Markup) -> Self {
        self.0.push((name, what));
        self
    }

    /// The same with one more, if there is such a thing.
    pub(in crate::admin::console) fn maybe(self, name: &'static str, what: Option<Markup>) -> Self {
        match what {
            Some(what) => self.with(name, what),
            None => self,
        }
    }

    /// As they are.
    pub(in crate::admin::console) fn list(self) -> Markup {
        html! { dl.facts { @for (name, what) in self.0 { div { dt { (name) } dd { (what) } } } } }
    }
}

/// A number that leads to the list behind it.
pub(in crate::admin::console) fn tile(title: &str, number: &str, mood: Mood, what: &str, path: &str) -> Markup {
    html! {
        a.tile.(mood.class()) href=(path) {
            span.what { (title) }
            strong { (number) }
            span.more { (what) }
        }
    }
}

/// What is said where a list is empty, and what to do about it.
pub(in crate::admin::console) fn empty(title: &str, what: Markup) -> Markup {
    html! { div.empty { p.title { (title) } div { (what) } } }
}

/// Something that a reader should know before they go on.
pub(in crate::admin::console) fn note(mood: Mood, what: Markup) -> Markup {
    let picture = match mood {
        Mood::Good => Icon::Good,
        Mood::Busy | Mood::Plain => Icon::Right,
        Mood::Warning => Icon::Warning,
        Mood::Bad => Icon::Bad,
    };
    html! { div.note.(mood.class()) { (icon(picture)) div { (what) } } }
}

/// A number as people read it: 12 345.
pub(in crate::admin::console) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}'); // a narrow blank at which no line breaks
        }
        text.push(digit);
    }
    text
}

/// A number of bytes as people read it.
pub(in crate::admin::console) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut rest = count as f64;
    let mut unit = 0;
    while rest >= 1024.0 && unit + 1 < UNITS.len() {
        rest /= 1024.0;
        unit += 1;
    }
    let name = UNITS[unit];
    if unit == 0 || rest >= 100.0 { format!("{rest:.0} {name}") } else { format!("{rest:.1} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0, 1023, 1024, 150 * 1024, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "150 KiB", "5.0 GiB"]);
    }
}
