//! Files that operators bring: CSV and LDIF, as programs write them and as they should not. What is wrong with one line is told
//! by its number and without its content.
//!
//! An input is: which (1 byte), and the file.

use locum::cli::fuzzing::{csv, ldif};

use super::{Input, bit};

/// A sentence.
const TEXT_BYTES_MAX: usize = 256;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let which = input.byte();
    let file = input.rest();
    let lines = file.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    if bit(which, 0) {
        let (entries, bad) = ldif(file);
        assert!(entries.iter().all(|(line, _)| (1..=lines).contains(line)), "an entry is nowhere");
        assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "entries are out of order");
        for (line, why) in bad {
            assert!((1..=lines).contains(&line) && why.len() <= TEXT_BYTES_MAX + file.len(), "{line}: {why}");
            assert!(!why.contains("canary") || why.starts_with("column "), "{why}");
        }
        return;
    }
    match csv(file, &["account", "secret", "label"]) {
        Ok(records) => {
            // A bare CR ends a record, too, and no line.
            let ends = lines as usize + file.iter().filter(|byte| **byte == b'\r').count();
            assert!(records.len() <= ends, "{} records in {ends} lines", records.len());
            assert!(records.iter().all(|(line, _)| (1..=lines).contains(line)), "a record is nowhere");
            assert!(records.windows(2).all(|pair| pair[0].0 <= pair[1].0), "records are out of order");
            for (_, record) in records {
                if let Err(why) = record {
                    assert!(why.len() <= TEXT_BYTES_MAX && !why.contains("canary"), "{why}");
                }
            }
        }
        Err(why) => assert!(why.len() <= TEXT_BYTES_MAX && !why.contains("canary"), "{why}"),
    }
}
