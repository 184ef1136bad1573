//! `[limits.class.<name>]`: the classes of quota that clients and delegations can be in. It must never have a default: what
//! is not said bounds nothing.

use std::collections::BTreeMap;

use super::reader::Table;
use crate::upstream::ClassOptions;

/// All tables below `[limits.class]`.
pub(super) fn classes(table: Table<'_, '_>) -> BTreeMap<String, ClassOptions> {
    table.into_named_tables().into_iter().map(|(name, table)| (name, class(table))).collect()
}

fn class(mut table: Table<'_, '_>) -> ClassOptions {
    let sessions_max = table.take("sessions-max").and_then(|value| {
        value.integer(1..=100_000, "sessions of the class together; one that lets in nobody is no class")
    });
    let sessions_per_mailbox_max = table
        .take("sessions-per-mailbox-max")
        .and_then(|value| value.integer(1..=1_000, "of the places that the mailbox has at its provider"));
    let messages_per_minute = table
        .take("messages-per-minute")
        .and_then(|value| value.integer(1..=100_000, "messages of the class together"));
    table.finish();
    ClassOptions { sessions_max, sessions_per_mailbox_max, messages_per_minute }
}
