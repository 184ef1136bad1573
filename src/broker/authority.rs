//! Authorities, over HTTPS.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::credential::oauth2::{HttpAnswer, HttpError, TokenEndpoint};
use crate::model::Secret;
use crate::net::{Https, HttpsError};

/// HTTPS to whichever authority is asked.
#[derive(Debug, Clone)]
pub struct Authorities(Https);

impl Authorities {
    /// Authorities by that client.
    pub fn new(https: Https) -> Self {
        Self(https)
    }
}

#[async_trait]
impl TokenEndpoint for Authorities {
    async fn post(&self, url: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
        let reply = self.0.post_form(url, form).await.map_err(|error| match error {
            HttpsError::Unreachable(why) => HttpError::Unreachable(why),
            HttpsError::Untrusted(why) => HttpError::Untrusted(why),
            HttpsError::TimedOut(bound) => HttpError::TimedOut(bound),
            HttpsError::TooLong(bound) => HttpError::TooLong(bound),
        })?;
        let date = reply.date.as_deref().and_then(date);
        Ok(HttpAnswer {
            status: reply.status,
            retry_after: reply.retry_after.as_deref().and_then(|text| retry_after(text, date)),
            date,
            body: reply.body,
        })
    }
}

/// Seconds, or a date (RFC 9110 section 10.2.3): then by the clock of who sent it, if it sent the time, too.
fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(text)?;
    Some(Duration::try_from(until.duration_since(now.unwrap_or_else(Timestamp::now))).unwrap_or_default())
}

/// A date in any of the three forms of RFC 9110 section 5.6.7.
fn date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let read = |form| strtime::parse(form, text.trim()).and_then(|parsed| parsed.to_datetime()).ok();
    let date: DateTime = FORMS.into_iter().find_map(read)?;
    date.to_zoned(TimeZone::UTC).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_each_of_its_forms() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(date(text), Some(expected), "{text}");
        }
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_until_a_date() {
        let now = date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:40:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
