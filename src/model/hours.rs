//! Hours of the week in which a client may log in. Pure: the time is an argument.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

const FORM: &str = "expected days, a begin and an end, and a time zone, such as \"mon-fri 07:00-19:00 Europe/Berlin\", \
                    \"sat,sun 22:00-06:00 UTC\" or \"daily 00:00-24:00 UTC\"";

/// The longest text: three times of what the longest zone needs.
const CHARS_MAX: usize = 128;

const MINUTES_OF_A_DAY: u16 = 24 * 60;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// `mon-fri 07:00-19:00 Europe/Berlin`: from the first minute to before the last, by the clocks of that zone. Where the end
/// is not behind the begin it is on the day after: `fri 22:00-06:00` ends on a Saturday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// As it was written, in lower case but for the zone.
    text: String,
    /// By [`DAYS`].
    days: [bool; 7],
    begin: u16,
    end: u16,
    zone: TimeZone,
}

impl Hours {
    /// Whether that moment is within.
    pub fn include(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let minute = local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16;
        let is_day = |weekday: Weekday| self.days[weekday.to_monday_zero_offset().unsigned_abs() as usize];
        let today = local.weekday();
        if self.begin < self.end {
            return is_day(today) && (self.begin..self.end).contains(&minute);
        }
        let yesterday = today.previous();
        (is_day(today) && minute >= self.begin) || (is_day(yesterday) && minute < self.end)
    }
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NO_ZONE: &str = "there is no such time zone; name one as Europe/Berlin or UTC";
        if text.chars().count() > CHARS_MAX {
            return Err(FORM);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [days, times, zone] = words[..] else { return Err(FORM) };
        let (days, times) = (days.to_ascii_lowercase(), times.to_ascii_lowercase());
        let (begin, end) = times.split_once('-').ok_or(FORM)?;
        let (begin, end) = (minute(begin).ok_or(FORM)?, minute(end).ok_or(FORM)?);
        if begin == end || begin == MINUTES_OF_A_DAY {
            return Err(FORM);
        }
        let days_set = days_of(&days).ok_or(FORM)?;
        let zone = TimeZone::get(zone).map_err(|_| NO_ZONE)?;
        let name = zone.iana_name().ok_or(NO_ZONE)?;
        let text = format!("{days} {times} {name}");
        Ok(Self { text, days: days_set, begin, end, zone })
    }
}

/// `mon-fri`, `sat,sun`, `fri-mon,wed`, `daily`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    if text == "daily" {
        return Some([true; 7]);
    }
    let number = |name: &str| DAYS.iter().position(|(known, _)| *known == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|step| days[(first + step) % 7] = true);
    }
    Some(days)
}

/// `HH:MM`, to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two =
        |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?;
    let (hour, minute): (u16, u16) = (two(hour)?, two(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= MINUTES_OF_A_DAY).then_some(all)
}

impl TryFrom<String> for Hours {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.text
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl utoipa::PartialSchema for Hours {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for Hours {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn includes(hours: &str, now: &str) -> bool {
        hours.parse::<Hours>().unwrap().include(now.parse().unwrap())
    }

    #[test]
    fn from_the_first_minute_to_before_the_last() {
        // A Monday; Berlin is an hour ahead in winter and two in summer.
        let office = "Mon-Fri 07:00-19:00 Europe/Berlin";
        assert!(includes(office, "2026-01-05T06:00:00Z"));
        assert!(includes(office, "2026-01-05T17:59:59Z"));
        assert!(!includes(office, "2026-01-05T05:59:59Z"));
        assert!(!includes(office, "2026-01-05T18:00:00Z"));
        assert!(includes(office, "2026-07-06T05:00:00Z"), "by the clocks of summer");
        assert!(!includes(office, "2026-01-04T12:00:00Z"), "a Sunday");
        assert!(!includes(office, "2026-01-10T12:00:00Z"), "a Saturday");
    }

    #[test]
    fn across_midnight_they_belong_to_the_day_of_their_begin() {
        let night = "fri 22:00-06:00 UTC";
        assert!(includes(night, "2026-01-09T22:00:00Z"));
        assert!(includes(night, "2026-01-10T05:59:00Z"), "Saturday morning");
        assert!(!includes(night, "2026-01-10T06:00:00Z"));
        assert!(!includes(night, "2026-01-10T22:00:00Z"), "Saturday night");
        assert!(!includes(night, "2026-01-09T05:00:00Z"), "Friday morning");
        assert!(includes("sun 12:00-11:59 UTC", "2026-01-05T11:58:00Z"), "Monday follows Sunday");
    }

    #[test]
    fn whole_days_and_days_around_the_week() {
        assert!(includes("daily 00:00-24:00 UTC", "2026-01-05T23:59:59Z"));
        let around = "sat-mon,wed 00:00-24:00 UTC";
        for (day, is_in) in [(5, true), (6, false), (7, true), (8, false), (9, false), (10, true), (11, true)] {
            assert_eq!(includes(around, &format!("2026-01-{day:02}T12:00:00Z")), is_in, "{day}");
        }
    }

    #[test]
    fn what_is_no_hours_is_said() {
        for text in [
            "",
            "mon",
            "mon 07:00-19:00",
            "07:00-19:00 UTC",
            "mon 7:00-19:00 UTC",
            "mon 07:00-19:00 UTC extra",
            "mon 07:00-07:00 UTC",
            "mon 24:00-07:00 UTC",
            "mon 07:00-24:01 UTC",
            "mon 07:60-19:00 UTC",
            "mon 07:00 UTC",
            "mon- 07:00-19:00 UTC",
            "mo-fr 07:00-19:00 UTC",
            "mon 07:00-19:00 Mars/Olympus",
            "mon 07:00-19:00 ../../etc/passwd",
            "mon 07:00-19:00 UTC\u{0}",
            &format!("mon 07:00-19:00 {}", "x".repeat(200)),
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_record_holds_it_as_text() {
        let hours: Hours = " MON-FRI   07:00-19:00  europe/berlin ".parse().unwrap();
        assert_eq!(serde_json::to_string(&hours).unwrap(), r#""mon-fri 07:00-19:00 Europe/Berlin""#);
        assert_eq!(serde_json::from_str::<Hours>(r#""mon-fri 07:00-19:00 Europe/Berlin""#).unwrap(), hours);
    }
}
