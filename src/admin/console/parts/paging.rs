//! Lists in parts, and how one is searched. Going on is a link: it can be opened beside, sent, and come back to.

use maud::{Markup, html};

use super::icon::{Icon, icon};
use crate::admin::console::paths::encode;

/// Where a list is.
#[derive(Debug, Clone)]
pub(in crate::admin::console) struct Part {
    /// Its page.
    pub(in crate::admin::console) path: String,
    /// What was asked for, which the next part is of, too.
    pub(in crate::admin::console) asked: Vec<(&'static str, String)>,
    /// Whether this is not the first part.
    pub(in crate::admin::console) is_later: bool,
    /// Behind what the next part begins, if there is one.
    pub(in crate::admin::console) next: Option<String>,
}

impl Part {
    fn to(&self, after: Option<&str>) -> String {
        let asked =
            self.asked.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (*name, value.as_str()));
        let pairs = asked.chain(after.map(|after| ("after", after)));
        let query: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }
}

/// The way to the next part and back to the first; nothing where all is on one page.
pub(in crate::admin::console) fn paging(part: &Part) -> Markup {
    html! {
        @if part.is_later || part.next.is_some() {
            nav.paging aria-label="Parts of the list" {
                @if part.is_later { a.button href=(part.to(None)) { "First page" } }
                @if let Some(next) = &part.next { a.button rel="next" href=(part.to(Some(next))) { "Next page" } }
            }
        }
    }
}

/// A form that searches: a line to type into, and whatever else there is to choose.
pub(in crate::admin::console) fn search(path: &str, label: &str, value: &str, more: Markup) -> Markup {
    html! {
        form.search method="get" action=(path) role="search" {
            div.box {
                (icon(Icon::Search))
                label.hidden for="q" { (label) }
                input #q type="search" name="q" value=(value) placeholder=(label) spellcheck="false" autocapitalize="none";
            }
            (more)
            button type="submit" { "Search" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_is_of_what_was_asked_for() {
        let (path, asked) = ("/console/audit".to_owned(), vec![("q", "a&b".to_owned()), ("event", String::new())]);
        let part = Part { path, asked, is_later: false, next: Some("c=1".to_owned()) };
        assert_eq!(part.to(part.next.as_deref()), "/console/audit?q=a%26b&after=c%3D1");
        assert_eq!(Part { asked: Vec::new(), ..part }.to(None), "/console/audit");
    }
}
