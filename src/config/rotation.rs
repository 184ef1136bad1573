//! `[rotation]`: how credentials are rotated.

use super::reader::Table;
use super::sections::{mins, secs, set};
use crate::rotation::Options;

/// `[rotation]`.
pub(super) fn rotation(mut table: Table<'_, '_>) -> Options {
    let mut options = Options::default();
    set(&mut options.grace, table.take("grace"), |value| {
        let reason = "a login may need the one before for as long as a node goes on with what it remembers";
        value.duration(mins(5)..=mins(90 * 24 * 60), reason)
    });
    set(&mut options.second_look, table.take("second-look"), |value| {
        value.duration(secs(1)..=mins(30), "providers take a while to know a new password everywhere")
    });
    set(&mut options.patience, table.take("patience"), |value| {
        value.duration(secs(0)..=mins(60), "somebody waits for it")
    });
    table.finish();
    options
}
