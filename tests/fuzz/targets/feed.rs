//! The change feed: what other nodes wrote into the Vault, and the datagrams that anybody can send.
//!
//! An input is: how far is seen (1 byte), and JSON, or a datagram.

use locum::store::Position;
use locum::store::fuzzing::{heard, notice};
use locum::store::vault::fuzzing::{head, ring};
use serde_json::Value;

use super::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // The last one is further than any feed comes.
    let seen = Some(input.byte()).filter(|byte| *byte < u8::MAX).map_or(u64::MAX, u64::from);
    let rest = input.rest();
    let ours = notice("epoch", seen);
    assert_eq!(heard(&ours, "epoch"), Some(seen));
    // libFuzzer may learn one from here and send it again, which is none that is forged.
    let forged = heard(rest, "epoch").filter(|sequence| rest != notice("epoch", *sequence).as_slice());
    assert_eq!(forged, None, "a forged notice is believed");
    assert_eq!(heard(rest, ""), None, "without a feed nothing is authentic");
    let Ok(fields) = serde_json::from_slice::<Value>(rest) else { return };
    if let Some(written) = head(&fields) {
        assert_eq!(head(&written), Some(written.clone()), "it is not read as it is written");
    }
    let epoch = fields["epoch"].as_str().unwrap_or_default().to_owned();
    let position = Position { epoch, sequence: seen };
    if let Some((written, newer)) = ring(&fields, &position) {
        let (again, newer_again) = ring(&written, &position).expect("it was one a moment ago");
        assert!(again == written && newer_again == newer, "it is not read as it is written");
        assert!(newer.is_none_or(|newer| newer.len() <= rest.len()), "it tells of more than there is");
    }
}
