//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use serde_json::Value;

use super::ring::{Ring, head_fields, parse_head};
use crate::model::RecordId;
use crate::store::{Position, Version};

/// The head of a feed, read and written again.
pub fn head(fields: &Value) -> Option<Value> {
    parse_head(fields).map(|position| head_fields(&position))
}

/// The ring of a feed, read and written again, and what came in it after a position.
#[expect(clippy::type_complexity, reason = "a door has no types of its own")]
pub fn ring(fields: &Value, seen: &Position) -> Option<(Value, Option<Vec<(RecordId, Version)>>)> {
    let ring = Ring::parse(fields)?;
    Some((ring.fields(), ring.since(seen).records))
}
