//! Lines of an audit: no line but the first and the last can be changed without the look at them telling; and files of any kind
//! are read to their end.
//!
//! An input is: place and change (3 bytes), and text: the events of a chain, one a line, or a file as it is.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use locum::audit::{Wanted, search, verify};
use ring::digest::{SHA256, digest};
use tempfile::TempDir;

use super::Input;

/// Lines of one chain: enough to have some in the middle.
const LINES_MAX: usize = 8;

/// What a look may find at once.
const FOUND_MAX: usize = 4;

pub(crate) fn run(data: &[u8]) {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        look(data, &folder.path().join("audit.jsonl"));
    });
}

fn look(data: &[u8], path: &Path) {
    let mut input = Input::new(data);
    let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()]));
    let by = input.byte();
    let text = input.rest();
    fs::write(path, text).expect("a file");
    let report = verify(path, &[path.to_owned()], &[]).expect("a file that can be read");
    assert_eq!(report.ok, report.broken.is_none());
    find(path);

    let lines = chain(text);
    let mut file: Vec<u8> = lines.concat();
    fs::write(path, &file).expect("a file");
    let report = verify(path, &[path.to_owned()], &[]).expect("a file that can be read");
    assert!(report.ok && report.last_seq == Some(lines.len() as u64), "{report:?}");
    let (first, last) = (lines[0].len(), file.len() - lines[lines.len() - 1].len());
    if by == 0 || first >= last {
        return;
    }
    let at = first + at % (last - first);
    file[at] ^= by;
    fs::write(path, &file).expect("a file");
    let report = verify(path, &[path.to_owned()], &[]).expect("a file that can be read");
    assert!(!report.ok, "byte {at} was changed, and nobody tells: {}", file.escape_ascii());
    find(path);
}

/// Looks for something, from the end to the beginning.
fn find(path: &Path) {
    let wanted = Wanted { event: Some("decision".to_owned()), ..Wanted::default() };
    let mut after: Option<String> = None;
    for _ in 0..3 {
        let found = search(path, &wanted, after.as_deref(), FOUND_MAX).expect("a file that can be read");
        assert!(found.lines.len() <= FOUND_MAX);
        after = found.next;
        if after.is_none() {
            return;
        }
    }
}

/// The events as lines of a chain, each with its line feed: by the rule of the pages, in other code.
fn chain(text: &[u8]) -> Vec<Vec<u8>> {
    let events = text.split(|byte| *byte == b'\n').take(LINES_MAX);
    let mut before = "0".repeat(64);
    let mut lines = Vec::new();
    for (at, event) in events.enumerate() {
        let event = serde_json::Value::from(String::from_utf8_lossy(event).into_owned());
        let line =
            format!("{{\"seq\":{},\"prev\":\"{before}\",\"run\":\"r\",\"event\":\"decision\",\"x\":{event}}}", at + 1);
        before = HEXLOWER.encode(digest(&SHA256, line.as_bytes()).as_ref());
        lines.push([line.as_bytes(), b"\n"].concat());
    }
    lines
}
