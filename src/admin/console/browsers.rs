//! Who is signed in with a browser. In memory, bounded, and for a time; after a restart everybody signs in again. What a
//! browser holds is a random id; the operator's token itself is not kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::admin::caller::Caller;
use crate::model::Secret;

/// Browsers that are signed in at once, on this node. Operators are few; whoever signs in when it is full takes the place of
/// who did nothing for the longest time.
const BROWSERS_MAX: usize = 256;

/// A working day: who comes back on the next one signs in again.
const LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// Somebody who went for lunch should not leave a console open.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// How long a secret that was just made waits for the page that shows it.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// Random bytes of an id and of a token against forged forms: as many as a key of AES-256 has.
const RANDOM_BYTES: usize = 32;

/// The browsers.
#[derive(Default)]
pub(super) struct Browsers {
    all: Mutex<HashMap<Key, Browser>>,
}

/// Which browser it is, as it is kept here: the digest of what its cookie says, so that no look-up tells by its time how
/// much of an id was right.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

struct Browser {
    caller: Caller,
    csrf: String,
    since: Instant,
    seen: Instant,
    flash: Option<Flash>,
    made: Option<(Made, Instant)>,
}

/// Who a browser is signed in as.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    /// The operator, by the token that they signed in with, as they were then.
    pub(super) caller: Caller,
    /// What stands in each form of theirs.
    pub(super) csrf: String,
}

/// What the next page says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flash {
    /// Whether it is good news.
    pub(super) tone: Tone,
    /// What happened, for people.
    pub(super) text: String,
}

/// Good news or bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
}

/// A secret that was just made, for the one page that shows it.
#[derive(Debug)]
pub(super) struct Made {
    /// Whose it is: the page of another one does not show it.
    pub(super) of: String,
    /// Its public id.
    pub(super) id: String,
    /// The secret.
    pub(super) secret: Secret,
}

impl Browsers {
    /// Takes in who has just proven who they are. The result is for the cookie; `None` if
    /// the machine has no random bytes.
    pub(super) fn enter(&self, caller: Caller, now: Instant) -> Option<String> {
        let (id, csrf) = (random()?, random()?);
        let browser = Browser { caller, csrf, since: now, seen: now, flash: None, made: None };
        let mut all = self.lock();
        tidy(&mut all, now);
        if all.len() >= BROWSERS_MAX {
            let idle = all.iter().min_by_key(|(_, browser)| browser.seen).map(|(key, _)| key.clone());
            idle.map(|key| all.remove(&key));
        }
        all.insert(Key::of(&id), browser);
        Some(id)
    }

    /// Who that is, if they are signed in still. To ask is to be there, but for a page that asks by itself.
    pub(super) fn find(&self, key: &Key, by_itself: bool, now: Instant) -> Option<SignedIn> {
        let mut all = self.lock();
        tidy(&mut all, now);
        let browser = all.get_mut(key)?;
        if !by_itself {
            browser.seen = now;
        }
        Some(SignedIn { caller: browser.caller.clone(), csrf: browser.csrf.clone() })
    }

    /// Forgets that browser.
    pub(super) fn leave(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Has the next page say that.
    pub(super) fn say(&self, key: &Key, flash: Flash) {
        if let Some(browser) = self.lock().get_mut(key) {
            browser.flash = Some(flash);
        }
    }

    /// What the next page is to say; it is said once.
    pub(super) fn said(&self, key: &Key) -> Option<Flash> {
        self.lock().get_mut(key)?.flash.take()
    }

    /// Keeps a secret for the page that shows it.
    pub(super) fn keep(&self, key: &Key, made: Made, now: Instant) {
        if let Some(browser) = self.lock().get_mut(key) {
            browser.made = Some((made, now));
        }
    }

    /// The secret that was just made for that one. It is handed out once.
    pub(super) fn take(&self, key: &Key, of: &str, now: Instant) -> Option<Made> {
        let mut all = self.lock();
        let browser = all.get_mut(key)?;
        let (made, at) = browser.made.take()?;
        (made.of == of && now.saturating_duration_since(at) <= SHOWN_WITHIN).then_some(made)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Browser>> {
        self.all.lock().expect("nothing panics while it holds this lock")
    }
}

/// Forgets who is gone, and what nobody came for.
fn tidy(all: &mut HashMap<Key, Browser>, now: Instant) {
    all.retain(|_, browser| browser.is_there(now));
    for browser in all.values_mut() {
        browser.made.take_if(|(_, at)| now.saturating_duration_since(*at) > SHOWN_WITHIN);
    }
}

impl Browser {
    fn is_there(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < LIFE && now.saturating_duration_since(self.seen) < IDLE_MAX
    }
}

impl Key {
    /// Of what a cookie says.
    pub(super) fn of(id: &str) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
        Self(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl fmt::Debug for Browsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browsers").field("count", &self.lock().len()).finish_non_exhaustive()
    }
}

fn random() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    const MINUTE: Duration = Duration::from_secs(60);

    fn entered(browsers: &Browsers, now: Instant) -> Key {
        let (name, token) = ("ops".to_owned(), Some("t1".to_owned()));
        Key::of(&browsers.enter(Caller { name, role: Role::Viewer, token, expires: None }, now).unwrap())
    }

    #[test]
    fn who_does_nothing_for_half_an_hour_is_signed_out() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let key = entered(&browsers, start);
        assert_eq!(browsers.find(&key, false, start + 29 * MINUTE).unwrap().caller.name, "ops");
        assert!(browsers.find(&key, false, start + 58 * MINUTE).is_some(), "to be asked for is to be there");
        assert!(browsers.find(&key, false, start + 88 * MINUTE).is_none());
        assert!(browsers.find(&key, false, start + 58 * MINUTE).is_none(), "it is forgotten");
    }

    #[test]
    fn a_page_that_reads_itself_again_keeps_nobody_signed_in() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let key = entered(&browsers, start);
        assert!((0..30).all(|minute| browsers.find(&key, true, start + minute * MINUTE).is_some()));
        assert!(browsers.find(&key, true, start + 30 * MINUTE).is_none());
    }

    #[test]
    fn a_secret_that_nobody_comes_for_is_forgotten() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let (key, other) = (entered(&browsers, start), entered(&browsers, start));
        let made = Made { of: "alice".into(), id: "s1".into(), secret: Secret::new("canary") };
        browsers.keep(&key, made, start);
        browsers.find(&other, false, start + 2 * MINUTE);
        assert!(browsers.lock()[&key].made.is_none());
    }

    #[test]
    fn nobody_is_signed_in_for_longer_than_a_working_day() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let key = entered(&browsers, start);
        for minute in (0..480).step_by(20) {
            assert!(browsers.find(&key, false, start + minute * MINUTE).is_some(), "{minute}");
        }
        assert!(browsers.find(&key, false, start + 480 * MINUTE).is_none());
    }

    #[test]
    fn the_idlest_gives_way_when_there_are_too_many() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let first = entered(&browsers, start);
        let second = entered(&browsers, start + MINUTE);
        for _ in 2..BROWSERS_MAX {
            entered(&browsers, start + 3 * MINUTE);
        }
        assert!(browsers.find(&first, false, start + 4 * MINUTE).is_some());
        let last = entered(&browsers, start + 5 * MINUTE);
        assert!(browsers.find(&second, false, start + 5 * MINUTE).is_none());
        assert!(browsers.find(&first, false, start + 5 * MINUTE).is_some());
        assert!(browsers.find(&last, false, start + 5 * MINUTE).is_some());
        assert_eq!(browsers.lock().len(), BROWSERS_MAX);
    }

    #[test]
    fn what_is_said_and_what_was_made_is_handed_out_once() {
        let (browsers, start) = (Browsers::default(), Instant::now());
        let key = entered(&browsers, start);
        let made = |of: &str| Made { of: of.into(), id: "s1".into(), secret: Secret::new("canary") };
        browsers.keep(&key, made("alice"), start);
        assert!(!format!("{browsers:?}").contains("canary"));
        assert!(browsers.take(&key, "alice", start).is_some());
        assert!(browsers.take(&key, "alice", start).is_none());
        browsers.keep(&key, made("alice"), start);
        assert!(browsers.take(&key, "bob", start).is_none());
        browsers.keep(&key, made("alice"), start);
        assert!(browsers.take(&key, "alice", start + 2 * MINUTE).is_none());

        let flash = Flash { tone: Tone::Good, text: "done".into() };
        browsers.say(&key, flash.clone());
        assert_eq!((browsers.said(&key), browsers.said(&key)), (Some(flash), None));
        browsers.leave(&key);
        assert!(browsers.find(&key, false, start).is_none());
    }
}
