//! What a process has in its memory, as who can debug it sees it: all that it can write to, stacks and freed heap included.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use super::Canaries;

/// So much is read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Of the chunk before, so much is looked at again: a secret may lie across.
const OVERLAP_BYTES: usize = 4096;
/// What was never touched, or was wiped, is passed over page by page.
const ZEROES: [u8; 4096] = [0; 4096];

/// A secret, or a part of one, in the memory of a process.
pub(crate) struct Leak {
    /// Which it is, and in what form.
    pub(crate) what: String,
    /// What lies there: `[heap]`, a file, or nothing for other memory, stacks among it.
    region: String,
    address: u64,
    bytes: usize,
    around: String,
}

impl fmt::Debug for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, region, address, bytes, around } = self;
        write!(f, "{what}: {bytes} bytes at {address:x} in {region}: {around}")
    }
}

/// The secrets in there; `None` if it is not permitted to look, as it is to root alone.
pub(crate) fn leaks(pid: u32, canaries: &Canaries) -> Option<Vec<Leak>> {
    let memory = match File::open(format!("/proc/{pid}/mem")) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
        opened => opened.unwrap(),
    };
    let mut leaks = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if !fields[1].starts_with("rw") {
            continue;
        }
        let (start, end) = fields[0].split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let region = format!("{} {}", fields[0], fields.get(5).copied().unwrap_or_default());
        search(&memory, start, end, canaries, |address, what, bytes, around| {
            leaks.push(Leak { what, region: region.clone(), address, bytes, around });
        });
    }
    Some(leaks)
}

fn search(memory: &File, start: u64, end: u64, canaries: &Canaries, mut note: impl FnMut(u64, String, usize, String)) {
    let mut buffer = vec![0; OVERLAP_BYTES + CHUNK_BYTES];
    let mut at = start;
    while at < end {
        let from = at.saturating_sub(OVERLAP_BYTES as u64).max(start);
        let length = usize::try_from(end - from).unwrap().min(buffer.len());
        let bytes = &mut buffer[..length];
        at = from + length as u64;
        // Some of it, such as what the kernel shares with all, cannot be read, and a thread may end meanwhile.
        if memory.read_exact_at(bytes, from).is_err() {
            continue;
        }
        for (offset, part) in parts(bytes) {
            for found in canaries.find_all(part) {
                let place = found.place;
                // What is in the overlap only was found before.
                if from > start && offset + place.end <= OVERLAP_BYTES {
                    continue;
                }
                let around = &part[place.start.saturating_sub(48)..part.len().min(place.end + 32)];
                let around = around.escape_ascii().to_string();
                note(from + (offset + place.start) as u64, found.what, place.len(), around);
            }
        }
    }
}

/// What lies between pages of nothing.
fn parts(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let pages: Vec<bool> = bytes.chunks(ZEROES.len()).map(|page| page != &ZEROES[..page.len()]).collect();
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = at + pages.get(at..)?.iter().position(|used| *used)?;
        let count = pages[first..].iter().take_while(|used| **used).count();
        at = first + count;
        let start = first * ZEROES.len();
        Some((start, &bytes[start..(at * ZEROES.len()).min(bytes.len())]))
    })
}
