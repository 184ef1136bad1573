//! Stored forms of client secrets, as other systems make them and as a hostile import would have them: none that is taken costs
//! more than it may, in time or memory, and no error quotes one.
//!
//! An input is: a secret behind its length, and the hash.

use locum::broker::client_secret::{ChosenHash, HashRefused, proves_random, random_behind};
use locum::broker::fuzzing::proves;
use locum::model::{Secret, Verifier};

use super::Input;

/// The bounds that the room itself states.
const MEMORY_KIB_MAX: u64 = 128 * 1024;
const WORK_MAX: u64 = 512 * 1024;
const ROUNDS_MAX: u64 = 1_000_000;
const BCRYPT_COST_MAX: u64 = 13;

/// What is computed here as well: a few milliseconds.
const WORK_TRIED: u64 = 64;
const ROUNDS_TRIED: u64 = 1_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let secret = Secret::new(input.piece());
    let rest = input.rest();
    fast(&secret, rest);
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match ChosenHash::parse(text) {
        Ok(hash) => {
            assert!(ChosenHash::parse(hash.as_str()).as_ref() == Ok(&hash), "it is not read as it is written");
            assert!(!format!("{hash:?}").contains(hash.as_str()), "it shows itself");
            if is_cheap(hash.as_str()) {
                let once = proves(&hash, &secret);
                assert_eq!(once, proves(&hash, &secret));
            }
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(told.len() <= 1024, "{} bytes", told.len());
            // What it may say of a hash is a number; the words of its own may stand in the input.
            let is_ours =
                matches!(error, HashRefused::TooCostly { .. }) || HashRefused::Unknown.to_string().contains(text);
            assert!(is_ours || text.len() < 12 || !told.contains(text), "{told}");
        }
    }
}

/// A salt and a digest from a record.
fn fast(secret: &Secret, rest: &[u8]) {
    let text = String::from_utf8_lossy(rest);
    let (salt, digest) = text.split_once(' ').unwrap_or((&text, ""));
    let verifier = Verifier::SaltedSha256 { salt: salt.to_owned(), digest: digest.to_owned() };
    assert!(!proves_random(Some(&verifier), secret) || digest.len() >= 43, "a digest that is none proves something");
    assert!(!proves_random(None, secret), "nothing proves something");
    if rest.len().is_multiple_of(16) {
        let (made, verifier) = random_behind("lo_abcdefgh_").expect("random bytes");
        assert!(proves_random(Some(&verifier), &made) && !proves_random(Some(&verifier), secret));
    }
}

/// Whether it can be computed here. What it says of its cost is read once more, in another way than the room does.
fn is_cheap(text: &str) -> bool {
    let number = |name: &str| -> Option<u64> {
        // Of two the library takes the last, when it is counted and when it is computed.
        text.split(['$', ',']).filter_map(|field| field.strip_prefix(name)?.parse().ok()).next_back()
    };
    if text.starts_with("$argon2id$") {
        // What is not said is as the library has it by itself: 19 MiB, twice.
        let (memory, passes) = (number("m=").unwrap_or(19 * 1024), number("t=").unwrap_or(2));
        assert!(memory <= MEMORY_KIB_MAX && memory * passes <= WORK_MAX, "{text}");
        assert!(number("p=").is_none_or(|lanes| lanes <= 16), "{text}");
        return memory * passes <= WORK_TRIED;
    }
    if text.starts_with("$5$") || text.starts_with("$6$") {
        let rounds = number("rounds=").unwrap_or(5_000);
        assert!(rounds <= ROUNDS_MAX, "{text}");
        return rounds <= ROUNDS_TRIED;
    }
    if text.starts_with("$2") {
        let cost = text[4..6].parse::<u64>().expect("a cost");
        assert!(cost <= BCRYPT_COST_MAX, "{text}");
        return cost <= 4;
    }
    true
}
