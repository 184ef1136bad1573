//! What `docs/security.md` and its kin say is proved is proved somewhere: each test that they name is there, and each of the
//! 28 pitfalls has a test named after it or a sentence why it cannot apply.

use std::collections::BTreeMap;
use std::path::Path;

use crate::pages::Page;
use crate::source::tokens;
use crate::{files, read, report, top};

/// How many there are.
const PITFALLS: usize = 28;

/// The pages that name tests as proofs.
const PAGES: [&str; 2] = ["docs/security.md", "docs/hardening.md"];

#[test]
fn each_pitfall_has_a_test_or_a_reason() {
    let page = read(Path::new(PAGES[0]));
    let told = told(&page);
    let tests = functions("tests/pitfalls");
    let mut complaints = Vec::new();
    for number in 1..=PITFALLS {
        let has_test = tests.iter().any(|name| number_of(name) == Some(number));
        match told.get(&number) {
            None => complaints.push(format!("{}: pitfall {number} has no row", PAGES[0])),
            Some(row) if has_test && !row.contains(&format!("`pitfall_{number:02}")) => {
                complaints.push(format!("{}: the row of pitfall {number} names none of its tests", PAGES[0]));
            }
            Some(row) if !has_test && !row.contains("cannot apply") => {
                complaints
                    .push(format!("pitfall {number} has no test `pitfall_{number:02}_…`, and no reason for that"));
            }
            Some(_) => {}
        }
    }
    report(&complaints);
}

#[test]
fn each_test_that_is_named_as_a_proof_is_there() {
    let mut complaints = Vec::new();
    let pitfalls = functions("tests/pitfalls");
    for file in PAGES {
        let page = Page { file: file.into(), text: read(Path::new(file)) };
        for code in page.code() {
            let is_there = match (code.text.strip_prefix("pitfall_"), test_file(&code.text)) {
                // Cut short, it names all that begin so.
                (Some(_), _) => pitfalls.iter().any(|name| name.starts_with(code.text.trim_end_matches('…'))),
                (None, Some(is_there)) => is_there,
                (None, None) => true,
            };
            if !is_there {
                complaints.push(format!("{file}:{}: there is no test `{}`", code.line, code.text));
            }
        }
    }
    report(&complaints);
}

/// A default that nobody has looked at may be one that lets somebody in.
#[test]
fn each_key_of_the_configuration_is_looked_at() {
    let (reference, reviewed) = (read(Path::new("docs/config.md")), read(Path::new(PAGES[1])));
    let keys = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key));
    let missing: Vec<_> = keys.filter(|key| !reviewed.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "{}: what do these do to who sets nothing? {missing:?}", PAGES[1]);
}

/// Whether a text names a test as `folder/file`, and if it does, whether that is there.
fn test_file(text: &str) -> Option<bool> {
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase() || b"_0123456789".contains(&it));
    let (folder, file) = text.strip_prefix("tests/").unwrap_or(text).split_once('/')?;
    // In `tests`, or beside the code that it is a test of.
    let folders = ["tests", "src"].map(|above| top().join(above).join(folder));
    let is_folder = folders.iter().any(|folder| folder.is_dir());
    if !is_word(folder) || !is_word(file.trim_end_matches('/')) || !is_folder || top().join(text).exists() {
        return None;
    }
    Some(folders.iter().any(|folder| folder.join(format!("{file}.rs")).is_file() || folder.join(file).is_dir()))
}

/// The rows of the table of pitfalls, by their number.
fn told(page: &str) -> BTreeMap<usize, &str> {
    let rows = page.lines().filter_map(|line| Some((line.strip_prefix("| ")?.split_once(" |")?.0.parse().ok()?, line)));
    rows.collect()
}

/// Which pitfall a test is named after.
fn number_of(name: &str) -> Option<usize> {
    name.strip_prefix("pitfall_")?.get(..2)?.parse().ok()
}

/// The names of all tests in a folder: functions behind an attribute that ends in `test`.
fn functions(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(folder, "rs") {
        let text = read(&file);
        let tokens = tokens(&text);
        let names = tokens.windows(2).filter(|pair| pair[0].text == "fn").map(|pair| pair[1].text);
        found.extend(names.filter(|name| name.starts_with("pitfall_")).map(str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_by_its_number() {
        let told = told("| # | x |\n|---|---|\n| 1 | a `pitfall_01_x` |\n| 28 | cannot apply |\n| b | c |\n");
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), [1, 28]);
        assert!(told[&1].contains("pitfall_01"));
    }

    #[test]
    fn a_test_is_known_by_its_number() {
        assert_eq!(
            (number_of("pitfall_01b_x"), number_of("pitfall_28_x"), number_of("pitfall_x")),
            (Some(1), Some(28), None)
        );
        assert!(functions("tests/pitfalls").len() >= PITFALLS);
    }

    #[test]
    fn a_file_of_tests_is_known_and_another_path_is_none() {
        assert_eq!((test_file("broker/gate"), test_file("tests/broker/gate")), (Some(true), Some(true)));
        assert_eq!(test_file("broker/enrolment"), Some(true), "a folder");
        assert_eq!(test_file("net/relay"), Some(true), "beside the code");
        assert_eq!(test_file("broker/no_such_test"), Some(false));
        for text in ["broker", "/readyz", "config/deploy", "a/b", "broker/gate.rs and more"] {
            assert_eq!(test_file(text), None, "{text}");
        }
    }
}
