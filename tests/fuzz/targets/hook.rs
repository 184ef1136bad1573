//! The answer of a site's own program: what it made, or an error that tells no secret.
//!
//! An input is: action and exit code (2 bytes), its words behind their length, and its answer.

use locum::model::Secret;
use locum::rotation::Action;
use locum::rotation::fuzzing::answered;
use serde_json::Value;

use super::Input;

/// What it was told to set.
const SENT: &str = "sesame-sesame-sesame";

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let action = [Action::Make, Action::Set, Action::Revoke][usize::from(input.byte()) % 3];
    let code = input.byte();
    let words = input.piece();
    let answer = input.rest();
    let sent = (action == Action::Set).then(|| Secret::new(SENT));
    match answered(action, sent.as_ref(), code, answer, words) {
        Ok(made) => {
            assert_eq!(code, 0, "it failed");
            assert_eq!(made.is_some(), action == Action::Make);
            if let Some((secret, Some(label))) = made {
                assert!(!label.is_empty() && label.chars().count() <= 200 && !label.contains(char::is_control));
                let secret = secret.expose_text().unwrap_or_default();
                assert!(secret.is_empty() || !label.contains(secret), "the label tells the secret");
            }
        }
        Err(error) => {
            let text = format!("{error} {error:?}");
            assert!(text.len() <= 16 * 1024 && !error.to_string().contains(char::is_control), "{text:?}");
            assert!(sent.is_none() || !text.contains(SENT), "it quotes what was sent: {text}");
            let made = serde_json::from_slice::<Value>(answer).ok();
            let made = made.as_ref().and_then(|answer| answer["secret"].as_str()).unwrap_or_default();
            // Words of ours may have a short one in them by chance, and one in another spelling is not known for one.
            let is_plain = made.len() >= 24 && made.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let is_as_it_stands = answer.windows(made.len().max(1)).any(|it| it == made.as_bytes());
            assert!(!is_plain || !is_as_it_stands || !text.contains(made), "it quotes what was made: {text}");
        }
    }
}
