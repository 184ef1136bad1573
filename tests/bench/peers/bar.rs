//! The bar: what Locum is to be, measured against whoever else was measured. It judges no run: times are no truths.

use crate::sheet::{Row, Sheet};
use crate::subject::Subject;

/// Process memory of an idle session at the most, in KiB.
const IDLE_KIB_MAX: f64 = 16.0;

/// What a login may cost of what the bare relay needs that resumes, and the same of a crowd's time.
const OVER_FLOOR_MAX: f64 = 1.15;
const CROWD_OVER_FLOOR_MAX: f64 = 1.1;

/// The worst round trip that may be added, in µs.
const WORST_ROUND_TRIP_US: f64 = 250.0;

/// Figures of one run differ by so much from one time to the next.
const NOISE: f64 = 1.05;

/// Its lines, each with what was measured and whether it is kept; those of which nothing was measured are left out.
pub(crate) fn lines(sheet: &Sheet) -> Vec<String> {
    let bar = Bar { sheet };
    let lines = [
        bar.line(
            "1. CPU per IMAP login: no more than nginx, a quarter of Dovecot, 1.15 of the relay that resumes",
            Row::ImapFull,
            &[
                (Subject::Nginx, Row::ImapFull, 1.0),
                (Subject::Dovecot, Row::ImapFull, 0.25),
                (Subject::FloorResumed, Row::ImapFull, OVER_FLOOR_MAX),
            ],
        ),
        bar.line(
            "2. CPU per submission of 4 KiB: no more than nginx, a quarter of Dovecot",
            Row::Submissions,
            &[(Subject::Nginx, Row::Submissions, 1.0), (Subject::Dovecot, Row::Submissions, 0.25)],
        ),
        bar.line("3. CPU per GB down: no more than the relay", Row::Down, &[(Subject::Floor, Row::Down, 1.0)]),
        bar.line("3. CPU per GB up: no more than the relay", Row::Up, &[(Subject::Floor, Row::Up, 1.0)]),
        bar.bound("4. idle session, 1,000 open, KiB", Row::Idle1000, IDLE_KIB_MAX),
        bar.bound("4. idle session, 5,000 open, KiB", Row::Idle5000, IDLE_KIB_MAX),
        bar.bound("4. growth over ten waves, KiB for each session", Row::Growth, 0.5),
        bar.line(
            "5. round trip added, p50 µs: no more than nginx",
            Row::RoundTrip,
            &[(Subject::Nginx, Row::RoundTrip, 1.0)],
        ),
        bar.bound("5. round trip added, p99 µs", Row::RoundTripWorst, WORST_ROUND_TRIP_US),
        bar.line(
            "6. 500 at once, s: 1.1 of the relay",
            Row::Crowd,
            &[(Subject::Floor, Row::Crowd, CROWD_OVER_FLOOR_MAX)],
        ),
        bar.line(
            "6. a storm of 5,000: none lost, and no login of it dearer than another",
            Row::StormCpu,
            &[(Subject::Locum, Row::ImapFull, NOISE)],
        ),
        bar.line(
            "6. login among 1,000,000 records: as among few",
            Row::RecordsMany,
            &[(Subject::Locum, Row::Records1000, NOISE)],
        ),
        bar.of(
            Subject::LocumOpenBao,
            "7. the same as 1 with the records in an OpenBao",
            Row::ImapFull,
            &[
                (Subject::Nginx, Row::ImapFull, 1.0),
                (Subject::Dovecot, Row::ImapFull, 0.25),
                (Subject::FloorResumed, Row::ImapFull, OVER_FLOOR_MAX),
            ],
        ),
    ];
    lines.into_iter().flatten().collect()
}

struct Bar<'a> {
    sheet: &'a Sheet,
}

impl Bar<'_> {
    fn line(&self, what: &str, row: Row, against: &[(Subject, Row, f64)]) -> Option<String> {
        self.of(Subject::Locum, what, row, against)
    }

    /// A figure of that subject, against figures of others, each times something.
    fn of(&self, subject: Subject, what: &str, row: Row, against: &[(Subject, Row, f64)]) -> Option<String> {
        let found = self.sheet.median(row, subject)?;
        let bounds: Vec<(f64, &str)> = against
            .iter()
            .filter_map(|(other, row, times)| Some((self.sheet.median(*row, *other)? * times, other.title())))
            .collect();
        if bounds.is_empty() {
            return None;
        }
        let is_kept = bounds.iter().all(|(bound, _)| found <= *bound);
        let bounds: Vec<String> = bounds.iter().map(|(bound, other)| format!("{bound:.3} by {other}")).collect();
        Some(format!("{what}: {found:.3}, at most {}: {}", bounds.join(", "), yes(is_kept)))
    }

    fn bound(&self, what: &str, row: Row, bound: f64) -> Option<String> {
        let found = self.sheet.median(row, Subject::Locum)?;
        Some(format!("{what}: {found:.1}, at most {bound:.1}: {}", yes(found <= bound)))
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "**yes**" } else { "**no**" }
}
