//! Lists in parts: what is asked for, and what is handed out. A record that cannot be read is said beside the others; it
//! must never hide them.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Fault, ManagementError};
use crate::broker::{self, DirectoryError, Versioned};
use crate::model::{RecordId, RecordKind};

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// So many items at the most.
    pub limit: usize,
    /// Behind what an earlier part said as its `next`.
    pub after: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// What there is.
    pub items: Vec<T>,
    /// What to give as `after` for the next part; null if this is the last.
    #[schema(required)]
    pub next: Option<String>,
    /// Records that belong here and cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub damaged: Vec<Damaged>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Damaged {
    /// Its id in the store.
    pub id: String,
    /// What is wrong with it. Its content is not quoted.
    pub detail: String,
}

impl Damaged {
    /// Those of a page of records.
    pub fn all(damaged: Vec<(RecordId, DirectoryError)>) -> Vec<Self> {
        let told = |(id, error): (RecordId, DirectoryError)| Self { id: id.to_string(), detail: error.to_string() };
        damaged.into_iter().map(told).collect()
    }
}

impl Paging {
    /// Where a list of records of that kind goes on.
    ///
    /// # Errors
    /// [`Fault::Usage`] if no list said that.
    pub fn record(&self, kind: RecordKind) -> Result<Option<RecordId>, ManagementError> {
        let parse = |cursor| {
            let wrong =
                || ManagementError::new(Fault::Usage, "`after` takes what an earlier part of this list said as `next`");
            RecordId::from_hash(kind, cursor).ok_or_else(wrong)
        };
        self.after.as_deref().map(parse).transpose()
    }
}

impl<T> Page<T> {
    /// All there is, in one part.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None, damaged: Vec::new() }
    }

    /// A page of records as this page of items.
    pub fn of<R>(page: broker::Page<R>, item: impl FnMut(Versioned<R>) -> T) -> Self {
        Self {
            items: page.records.into_iter().map(item).collect(),
            next: page.next.map(|next| next.hash().to_owned()),
            damaged: Damaged::all(page.damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_a_list_said_and_nothing_else() {
        let id = RecordId::new(RecordKind::Account, "alice@example.com");
        let paging = |after: &str| Paging { limit: 1, after: Some(after.to_owned()) };
        assert_eq!(paging(id.hash()).record(RecordKind::Account).unwrap(), Some(id));
        assert_eq!(Paging::default().record(RecordKind::Account).unwrap(), None);
        let refused = paging("../etc").record(RecordKind::Account).unwrap_err();
        assert_eq!(refused.fault(), Fault::Usage);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_where_there_is_none() {
        let page = serde_json::to_value(Page::whole(vec![1, 2])).unwrap();
        assert_eq!(page, serde_json::json!({ "items": [1, 2], "next": null }));
    }
}
