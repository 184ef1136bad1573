//! Lists, a page at a time, whatever is wrong with one record.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ManagementError;
use crate::broker::DirectoryError;
use crate::model::{RecordId, RecordKind};

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// So many at the most.
    pub limit: usize,
    /// Behind the place that an earlier part told as its `next`.
    pub after: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Listed<T> {
    /// What is in it, by name. A part that is not the last may hold fewer than were asked for.
    pub items: Vec<T>,
    /// What cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// Where the next part begins; none if this is the last.
    pub next: Option<String>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Damaged {
    /// Its id.
    pub id: String,
    /// Why.
    pub error: String,
}

impl Damaged {
    /// Those of a page of the directory.
    pub fn all(damaged: Vec<(RecordId, DirectoryError)>) -> Vec<Self> {
        let told = |(id, error): (RecordId, DirectoryError)| Self { id: id.to_string(), error: error.to_string() };
        damaged.into_iter().map(told).collect()
    }
}

impl Part {
    /// Where it begins.
    ///
    /// # Errors
    /// If no list told that.
    pub fn begins_behind(&self, kind: RecordKind) -> Result<Option<RecordId>, ManagementError> {
        let wrong =
            || ManagementError::new(super::Fault::Usage, "`after` takes what an earlier list told as its `next`");
        self.after.as_deref().map(|after| RecordId::from_hash(kind, after).ok_or_else(wrong)).transpose()
    }
}
