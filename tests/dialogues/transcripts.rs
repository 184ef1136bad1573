//! Plays every transcript, with the peer's bytes arriving line by line, one by one, and as many at once as there are
//! before an answer is awaited.

use locum::model::Protocol;

use crate::script::{Line, Script, escape, scripts};
use crate::wire::{Cut, Wire};

#[test]
fn submission_transcripts_play_as_written() {
    play_all(Protocol::Submission, 40);
}

#[test]
fn pop3_transcripts_play_as_written() {
    play_all(Protocol::Pop3, 25);
}

#[test]
fn imap_transcripts_play_as_written() {
    play_all(Protocol::Imap, 60);
}

fn play_all(protocol: Protocol, at_least: usize) {
    let scripts = scripts(protocol);
    let mut faults = Vec::new();
    for script in &scripts {
        for cut in [Cut::Lines, Cut::Bytes, Cut::Glued] {
            faults.extend(play(script, cut).err());
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(scripts.len() >= at_least, "only {} transcripts were found", scripts.len());
}

fn play(script: &Script, cut: Cut) -> Result<(), String> {
    let how = format!("{cut:?}");
    let fault = |at: usize, expected: &str, got: &str| {
        Err(format!("{}:{at} ({how})\n  expected: {expected}\n  got:      {got}", script.path.display()))
    };
    let mut wire = Wire::new(script.setup.side(script.protocol), cut);
    for (index, (at, line)) in script.lines.iter().enumerate() {
        if let Line::Peer(bytes) = line {
            wire.put(bytes);
            continue;
        }
        // What the peer said before is dealt with before the next thing happens. Only a session that there is no room
        // for ends before it has begun.
        if index > 0 || !matches!(line, Line::ShutDown(_)) {
            wire.drive();
        }
        assert!(!wire.state().is_empty());
        if wire.breaks_tls() {
            // Cut like this, the bytes behind STARTTLS run into the handshake instead of into the dialogue. Either way
            // it must be the end.
            let ends = |(_, line): &(usize, Line)| matches!(line, Line::Expect(act) if act == "close" || act.starts_with("fail Protocol"));
            if script.lines[index..].iter().any(ends) {
                return Ok(());
            }
            return fault(*at, "an end", "bytes that would run into the TLS handshake");
        }
        match line {
            Line::Peer(_) => {}
            Line::Ours(expected) if wire.said.starts_with(expected) => {
                wire.said.drain(..expected.len());
            }
            Line::Ours(expected) => {
                let act = wire.take_act().map_or(String::new(), |act| format!(" and then {}", act.words()));
                return fault(*at, &escape(expected), &(escape(&wire.said) + &act));
            }
            Line::Expect(expected) if wire.said.is_empty() => {
                let act = wire.take_act().map_or("nothing".to_owned(), |act| act.words());
                // The variant of a failure may stand alone.
                let whole = expected.split(' ').count() > 2;
                if !(act == *expected || !whole && act.starts_with(expected)) {
                    return fault(*at, expected, &act);
                }
            }
            Line::Expect(expected) => return fault(*at, expected, &escape(&wire.said)),
            Line::TlsStarted => wire.tls_started(),
            Line::Accept(keywords) => wire.accept(keywords.clone()),
            Line::Refuse(refusal) => wire.refuse(*refusal),
            Line::PeerChanged(plaintext_login) => wire.peer_changed(*plaintext_login),
            Line::ShutDown(cause) => wire.shut_down(*cause),
        }
    }
    wire.drive();
    let last = script.lines.last().map_or(0, |(at, _)| *at);
    match wire.take_act() {
        Some(act) => fault(last, "nothing more", &act.words()),
        None if !wire.said.is_empty() => fault(last, "nothing more", &escape(&wire.said)),
        None => Ok(()),
    }
}
