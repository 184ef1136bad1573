//! The configuration from any text: a value or errors, and never a value of the file in an error.
//!
//! An input is: a place (2 bytes), and the text. The text is read as it is, and with a secret at that place.

use std::path::Path;

use locum::config::{Config, ConfigErrors};

/// Errors that are told of one file, and some room.
const ERRORS_MAX: usize = 256;

/// One block: what is wrong, and what to do.
const ERROR_CHARS_MAX: usize = 2048;

/// What may stand in the wrong line: with a blank and a sign, for names of a right form are told.
const CANARY: &str = "cAnArY7f3a9 cAnArY7f3a9!";

pub(crate) fn run(data: &[u8]) {
    let Some((&[low, high], text)) = data.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    read(text);
    let at = usize::from(u16::from_le_bytes([low, high])) % (text.len() + 1);
    if text.is_char_boundary(at) {
        let (before, behind) = text.split_at(at);
        if let Some(errors) = read(&format!("{before}{CANARY}{behind}")) {
            let shown = format!("{errors}\n{errors:?}").to_lowercase();
            assert!(!shown.contains(&CANARY.to_lowercase()), "it quotes the file: {errors}");
        }
    }
}

fn read(text: &str) -> Option<ConfigErrors> {
    let file = Path::new("/etc/locum/locum.toml");
    match Config::parse(text, file) {
        Ok(config) => {
            assert_eq!(config.file, file);
            assert_eq!(Config::parse(text, file).as_ref(), Ok(&config), "the same text says two things");
            None
        }
        Err(errors) => {
            let mut count = 0;
            for error in errors.iter() {
                count += 1;
                let shown = error.to_string();
                assert!(shown.chars().count() <= ERROR_CHARS_MAX, "{} bytes: {shown:.500}", shown.len());
                assert!(!error.message().is_empty());
                let lines = text.matches('\n').count() + 1;
                assert!(error.position().is_none_or(|at| at.line <= lines && at.column >= 1), "it is nowhere: {shown}");
            }
            assert!((1..=ERRORS_MAX).contains(&count), "{count} errors");
            Some(errors)
        }
    }
}
