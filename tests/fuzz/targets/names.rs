//! Names and rules as people and devices write them: logins with their forms, patterns of addresses, hours, fingerprints. What is
//! read is written in a form that is read as the same.
//!
//! An input is: forms (1 byte), a second name behind its length, and the text.

use jiff::Timestamp;
use locum::broker::fuzzing::{candidates, masked};
use locum::model::{AddressPattern, Attempt, Fingerprint, Hours, LoginForm, RecordId, RecordKind, Secret, normalise};

use super::{Input, bit};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let other = input.piece();
    let rest = input.rest();
    login(choice, other, rest);
    let Ok(text) = std::str::from_utf8(rest) else { return };
    assert_eq!(normalise(&normalise(text)), normalise(text), "a name has two forms");
    let id = RecordId::new(RecordKind::Account, text);
    assert_eq!(RecordId::from_hash(RecordKind::Account, id.hash()), Some(id));
    if let Some(id) = RecordId::from_hash(RecordKind::Client, text) {
        assert!(id.hash().bytes().all(|byte| byte.is_ascii_alphanumeric()), "it is a part of a path");
    }
    if let Ok(pattern) = text.parse::<AddressPattern>() {
        assert_eq!(pattern.to_string().parse().as_ref(), Ok(&pattern));
        assert!(!pattern.is_one_address() || pattern.matches(&pattern.to_string()), "{pattern} is not itself");
        let address = String::from_utf8_lossy(other);
        assert!(!pattern.matches(&address) || address.contains('@'), "{pattern} is {address:?}");
        let domain = pattern.to_string().rsplit('@').next().unwrap_or_default().trim_start_matches("*.").to_owned();
        assert!(!pattern.matches(&address) || normalise(&address).ends_with(&domain), "{pattern} is {address:?}");
    }
    if let Ok(hours) = text.parse::<Hours>() {
        assert_eq!(hours.to_string().parse().as_ref(), Ok(&hours));
        let at = i64::from(choice) * 3_600;
        let _ = hours.include(Timestamp::from_second(at).expect("some day of 1970"));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse().as_ref(), Ok(&fingerprint));
    }
}

/// What a login can mean: as it stands, and in one other way at the most.
fn login(choice: u8, authzid: &[u8], authcid: &[u8]) {
    let all = [LoginForm::Authzid, LoginForm::Master, LoginForm::Backslash, LoginForm::Slash];
    let forms: Vec<LoginForm> = (0..4).filter(|at| bit(choice, *at)).map(|at| all[at as usize]).collect();
    let attempt = Attempt {
        authcid: authcid.to_vec(),
        authzid: bit(choice, 4).then(|| authzid.to_vec()),
        proof: Secret::new("x"),
        method: "test",
    };
    let found = candidates(&attempt, &forms);
    assert!(found.len() <= 2, "a stranger causes {} look-ups", found.len());
    for (principal, asked) in &found {
        assert!(!principal.contains(char::is_control));
        assert!(principal.len() <= authcid.len() && !asked.clone().flatten().is_some_and(|name| name.is_empty()));
        assert!(!forms.is_empty() || asked.clone().is_none_or(|asked| asked.is_none()), "no form is taken here");
    }
    let shown = masked(authcid);
    assert_eq!(shown.len(), authcid.len());
    assert_eq!(masked(&shown), shown);
}
