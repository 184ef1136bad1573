//! Whether a login costs more where there are very many records.

use super::{Bench, logins};
use crate::load::clients::Way;
use crate::sheet::Row;
use crate::subject::Subject;

/// So many there are in the crowded store.
pub(crate) const RECORDS: usize = 1_000_000;

pub(super) fn take(bench: &mut Bench, subject: Subject) {
    if subject != Subject::Locum {
        return;
    }
    for row in [Row::Records1000, Row::RecordsMany] {
        let running = match row {
            Row::Records1000 => bench.ground.start(subject),
            _ => bench.ground.start_crowded(),
        };
        bench.warm(&running);
        let driven = logins::logins(bench, &running, Way::Imap, false);
        bench.sheet.put(row, subject, driven.each_ms());
    }
}
