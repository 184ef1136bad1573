//! When which key of TLS tickets is used, pure: the time is handed in, and nothing is read, written or drawn here.
//!
//! A key is made, lies in the record until each node had time to read it, seals until the next one does, and opens until its
//! end. A ticket is good for as long as its key: what sealed it is gone from memory and record after that.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{KeptTicketKey, TicketKeys};

/// How long a key is used, and so the longest that a ticket is good for. Half of the day that RFC 5246 (appendix F.1.4) has for
/// a session: who steals a key opens what was recorded of half a day by TLS 1.2, and clients come back sooner than that.
pub(super) const KEY_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// A key is followed by another when it is so old: a ticket is good for five hours and a half
/// at the least.
pub(super) const KEY_SEALS: Duration = Duration::from_secs(6 * 60 * 60);

/// A key seals when it has been in the record for so long, where there is an older one: six times as long as it takes a
/// node to read it, and the clocks of nodes may differ by the rest.
pub(super) const SETTLES: Duration = Duration::from_secs(30 * 60);

/// How far ahead of this clock a key may have been made. One from a later time is nobody's: it would be the newest for as long.
const AHEAD_MAX: Duration = Duration::from_secs(60 * 60);

/// Keys of a record that are used. There are two or three of them, unless clocks are wrong.
pub(super) const KEYS_MAX: usize = 8;

/// Until when it is used.
pub(super) fn end(key: &KeptTicketKey) -> Timestamp {
    key.made.checked_add(KEY_LIFE).unwrap_or(Timestamp::MAX)
}

/// Whether it opens tickets.
pub(super) fn is_live(key: &KeptTicketKey, now: Timestamp) -> bool {
    now < end(key) && key.made <= now + AHEAD_MAX
}

/// Which of these seals: the newest that every node knows by now, or else the one that they have known for longest.
pub(super) fn sealing(keys: &[KeptTicketKey], now: Timestamp) -> Option<&KeptTicketKey> {
    let live = || keys.iter().filter(|key| is_live(key, now));
    let settled = live().filter(|key| key.made + SETTLES <= now).max_by_key(|key| key.made);
    settled.or_else(|| live().min_by_key(|key| key.made))
}

/// Whether there has to be a new one.
pub(super) fn is_due(keys: &[KeptTicketKey], now: Timestamp) -> bool {
    !keys.iter().any(|key| is_live(key, now) && now < key.made + KEY_SEALS)
}

/// The record with a new key, and without those that are over.
pub(super) fn renewed(keys: &[KeptTicketKey], new: KeptTicketKey, now: Timestamp) -> TicketKeys {
    let mut keys: Vec<_> = keys.iter().filter(|key| is_live(key, now)).cloned().chain([new]).collect();
    keys.sort_by_key(|key| key.made);
    let surplus = keys.len().saturating_sub(KEYS_MAX);
    TicketKeys { keys: keys.split_off(surplus) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn made(seconds: i64) -> KeptTicketKey {
        KeptTicketKey { id: format!("of {seconds}"), made: at(seconds), secret: Secret::new("s") }
    }

    fn seals(keys: &[KeptTicketKey], now: i64) -> Option<i64> {
        sealing(keys, at(now)).map(|key| key.made.as_second() - 1_000_000)
    }

    #[test]
    fn a_key_is_read_by_all_before_it_seals() {
        let keys = [made(0), made(6 * HOUR)];
        assert_eq!(seals(&keys[..1], 0), Some(0), "there is no other");
        assert_eq!(seals(&keys, 6 * HOUR + 1799), Some(0));
        assert_eq!(seals(&keys, 6 * HOUR + 1800), Some(6 * HOUR));
        assert_eq!(seals(&[made(0), made(60)], 100), Some(0), "of two that are new, the one that others know sooner");
        assert_eq!(seals(&keys, 18 * HOUR - 1), Some(6 * HOUR), "nobody made another");
        assert_eq!(seals(&keys, 18 * HOUR), None);
        assert_eq!(seals(&[], 0), None);
    }

    #[test]
    fn a_new_one_is_due_at_half_its_life() {
        assert!(is_due(&[], at(0)));
        assert!(!is_due(&[made(0)], at(6 * HOUR - 1)));
        assert!(is_due(&[made(0)], at(6 * HOUR)));
        assert!(!is_due(&[made(0), made(6 * HOUR)], at(6 * HOUR)));
    }

    #[test]
    fn a_key_from_far_ahead_is_none() {
        let ahead = made(HOUR + 1);
        assert!(is_live(&ahead, at(1)) && !is_live(&ahead, at(0)));
        assert!(is_due(std::slice::from_ref(&ahead), at(0)));
        assert_eq!(seals(&[ahead, made(-HOUR)], 0), Some(-HOUR));
        assert!(!is_due(&[made(HOUR)], at(0)), "clocks differ");
        let endless = KeptTicketKey { made: Timestamp::MAX, ..made(0) };
        assert_eq!(end(&endless), Timestamp::MAX);
    }

    #[test]
    fn the_record_holds_those_that_open_and_no_more() {
        let found = [made(0), made(6 * HOUR), made(30 * HOUR)];
        let renewed_at_12 = renewed(&found, made(12 * HOUR), at(12 * HOUR));
        assert_eq!(renewed_at_12.keys, [made(6 * HOUR), made(12 * HOUR)]);
        let many: Vec<_> = (0..20).map(made).collect();
        let kept = renewed(&many, made(20), at(20)).keys;
        assert_eq!((kept.len(), kept.first(), kept.last()), (KEYS_MAX, Some(&made(13)), Some(&made(20))));
    }

    /// Days of two nodes that look once in five minutes, each by a clock of its own: neither ever meets a ticket that it cannot open.
    #[test]
    fn no_node_seals_under_a_key_that_the_other_lacks() {
        let (mut record, mut known, mut made_so_far) = (Vec::new(), [Vec::new(), Vec::new()], 0);
        for second in (0..3 * 24 * HOUR).step_by(150) {
            let node = usize::from(second % 300 != 0);
            let now = at(second + [0, 40][node]);
            if is_due(&record, now) {
                record = renewed(&record, KeptTicketKey { made: now, ..made(second) }, now).keys;
                made_so_far += 1;
            }
            known[node].clone_from(&record);
            if second < 300 {
                continue; // the first key, which is sealed under at once
            }
            for (own, other) in [(0, 1), (1, 0)] {
                let sealed = sealing(&known[own], now).unwrap();
                assert!(known[other].contains(sealed), "at {second}");
                assert!(is_live(sealed, now + KEY_SEALS - SETTLES), "at {second}: good for five hours and more");
            }
        }
        assert_eq!(made_so_far, 12, "one for each six hours");
    }
}
