//! `docs/faults.md`: its tables are what the harness saw, word for word. A test that sees something else than the page says
//! fails; with `LOCUM_FAULTS_WRITE` set it writes what it saw. Prose between the tables is by people, and is left alone.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Set to anything: tables are written, not compared.
const WRITE: &str = "LOCUM_FAULTS_WRITE";

/// One test at a time has the page in hand.
static PAGE: Mutex<()> = Mutex::new(());

/// Holds the table of that name against the page, or puts it there. Panics where they differ.
pub(crate) fn holds(name: &str, head: &[&str], rows: &[Vec<String>]) {
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = fs::read_to_string(&path).unwrap();
    let [begin, end] = ["begin", "end"].map(|word| format!("<!-- {word}: {name} -->\n"));
    let from = page.find(&begin).unwrap_or_else(|| panic!("docs/faults.md has no place for `{name}`")) + begin.len();
    let upto = from + page[from..].find(&end).unwrap_or_else(|| panic!("docs/faults.md has no end of `{name}`"));
    let seen = table(head, rows);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{}{seen}{}", &page[..from], &page[upto..])).unwrap();
        return;
    }
    let said = &page[from..upto];
    let differs = said.lines().zip(seen.lines()).find(|(said, seen)| said != seen);
    let (said_of_it, seen_of_it) = differs.unwrap_or(("(another number of rows)", &seen));
    assert!(
        said == seen,
        "docs/faults.md is stale in `{name}`\n  page: {said_of_it}\n  seen: {seen_of_it}\nto write it anew: \
         {WRITE}=1 tests/run --test faults; then read what changed, and commit it"
    );
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let body = rows.iter().map(|row| {
        assert_eq!(row.len(), head.len(), "{row:?}");
        line(row.iter().map(String::as_str).collect())
    });
    [line(head.to_vec()), rule].into_iter().chain(body).collect()
}

/// As code, where there is any.
pub(crate) fn code(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { format!("`{}`", text.replace('|', "\\|")) }
}
