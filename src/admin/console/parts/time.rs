//! Times: how long ago for the eye, the exact one behind it. All are UTC, as in the audit.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

/// How long ago something was, or in how long it will be.
pub(in crate::admin::console) fn ago(at: Timestamp) -> Markup {
    let seconds = Timestamp::now().as_second() - at.as_second();
    let text = match seconds {
        -30..=4 => "now".to_owned(),
        5.. => format!("{} ago", span_of(seconds)),
        _ => format!("in {}", span_of(-seconds)),
    };
    exact(at, &text)
}

/// A day and a minute.
pub(in crate::admin::console) fn minute(at: Timestamp) -> Markup {
    exact(at, &format!("{} UTC", at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M")))
}

/// A day.
pub(in crate::admin::console) fn day(at: Timestamp) -> Markup {
    exact(at, &at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y").to_string())
}

/// A number of seconds in words: its largest unit, and for hours the next one.
pub(in crate::admin::console) fn span_of(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY if seconds % HOUR < MINUTE => format!("{} h", seconds / HOUR),
        HOUR..DAY => format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE),
        _ if seconds < 2 * DAY => "1 day".to_owned(),
        _ => format!("{} days", seconds / DAY),
    }
}

fn exact(at: Timestamp, text: &str) -> Markup {
    let exact = format!("{at:.0}");
    html! { time datetime=(exact) title=(exact) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_by_their_largest_units() {
        let told = [0, 59, 60, 3599, 3600, 3700, 86_399, 86_400, 172_800].map(span_of);
        assert_eq!(told, ["0 s", "59 s", "1 min", "59 min", "1 h", "1 h 1 min", "23 h 59 min", "1 day", "2 days"]);
    }

    #[test]
    fn the_exact_time_stands_behind_it() {
        let at: Timestamp = "2026-11-05T09:03:07Z".parse().unwrap();
        let expected =
            r#"<time datetime="2026-11-05T09:03:07Z" title="2026-11-05T09:03:07Z">5 Nov 2026, 09:03 UTC</time>"#;
        assert_eq!(minute(at).into_string(), expected);
    }
}
