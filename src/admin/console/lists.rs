//! What lists of records have in common: parts, searching through them in bounds, and records that cannot be read.

use maud::{Markup, html};

use super::fields::Fields;
use super::parts::{Mood, Part, note};
use crate::management::{Damaged, ManagementError, Page, Paging};
use crate::model::normalise;

/// Rows of one page.
pub(super) const PAGE_ROWS: usize = 50;

/// Records that one search looks through. Who wants more goes on with the next page.
const LOOKED_AT_MAX: usize = 5_000;

/// Records that are read at once for a search.
const READ_AT_ONCE: usize = 500;

/// The items of a list that are wanted, from where the address says, and where the next part begins. What is wanted is known
/// only once a record is read, so a page may hold fewer than there is room for.
pub(super) async fn find<T, F: Future<Output = Result<Page<T>, ManagementError>>>(
    asked: &Fields,
    rows: usize,
    list: impl Fn(Paging) -> F,
    is_wanted: impl Fn(&T) -> bool,
) -> Result<Page<T>, ManagementError> {
    let is_searched = !asked.text("q").is_empty();
    let limit = if is_searched { READ_AT_ONCE } else { rows };
    let (mut items, mut damaged, mut after, mut looked_at) = (Vec::new(), Vec::new(), asked.some("after"), 0);
    loop {
        let page = list(Paging { limit, after }).await?;
        looked_at += limit;
        items.extend(page.items.into_iter().filter(&is_wanted));
        damaged.extend(page.damaged);
        after = page.next;
        if after.is_none() || items.len() >= rows || looked_at >= LOOKED_AT_MAX {
            return Ok(Page { items, damaged, next: after });
        }
    }
}

/// Whether any of these names has that in it, in any case of letters.
pub(super) fn has(wanted: &str, names: &[&str]) -> bool {
    let wanted = normalise(wanted);
    names.iter().any(|name| normalise(name).contains(&wanted))
}

/// Where a list is, for the links below it.
pub(super) fn part(path: String, kept: Vec<(&'static str, String)>, asked: &Fields, next: Option<String>) -> Part {
    Part { path, asked: kept, is_later: !asked.text("after").is_empty(), next }
}

/// Records that cannot be read are said above those that can.
pub(super) fn damaged(all: &[Damaged]) -> Markup {
    html! {
        @if !all.is_empty() {
            (note(Mood::Bad, html! {
                p { (all.len()) @if all.len() == 1 { " record" } @else { " records" } " of this part cannot be read, and whoever needs one is refused:" }
                ul { @for one in all { li { code { (one.id) } " " (one.detail) } } }
            }))
        }
    }
}
