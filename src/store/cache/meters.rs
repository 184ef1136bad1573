//! What is counted of a node's memory and of how it hears of changes. Nothing here depends on the clock: how long
//! something has lasted is in [`Health`](super::super::Health). A label never names a record.

use metrics::{describe_counter, describe_gauge};

/// Label `outcome`: `hit`, `miss`, `stale`, `error`.
pub(super) const READS: &str = "locum_store_cache_reads_total";
pub(super) const STALE_READS: &str = "locum_store_stale_reads_total";
pub(super) const BEHIND_READS: &str = "locum_store_behind_reads_total";
pub(super) const RECORDS: &str = "locum_store_cache_records";
pub(super) const CHANGES: &str = "locum_store_feed_changes_total";
pub(super) const REVALIDATIONS: &str = "locum_store_feed_revalidations_total";
pub(super) const LAG: &str = "locum_store_feed_lag";
/// Label `outcome`: `sent`, `taken`, `known`, `forged`, `malformed`.
pub(in crate::store) const NOTICES: &str = "locum_store_notices_total";

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_counter!(
        READS,
        "Reads of records: from memory (hit), from the store (miss), from memory for want of it (stale), or failed (error)"
    );
    describe_counter!(STALE_READS, "Reads answered from memory because the store did not answer");
    describe_counter!(BEHIND_READS, "Answers of the store that were older than what it had said before");
    describe_gauge!(RECORDS, "Records in memory");
    describe_counter!(CHANGES, "Changes that the feed told of");
    describe_counter!(
        REVALIDATIONS,
        "Times that the feed could not tell what had changed, and all was asked for again"
    );
    describe_gauge!(LAG, "Changes that a notice told of and the feed did not show yet");
    describe_counter!(
        NOTICES,
        "Notices of writes between nodes: sent, and received ones that told of something new (taken) or not (known), or were no notices of a node (forged, malformed)"
    );
}
