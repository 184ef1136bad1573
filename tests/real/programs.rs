//! Finds the real servers and clients that the tests need. It never skips: a missing program fails the test that wants
//! it, and says how to install it.

use std::path::{Path, PathBuf};

/// Directories searched after `PATH`: daemons are not on an ordinary user's path.
const DAEMON_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/lib/postfix/sbin", "/usr/libexec/postfix"];

/// The path of `program`. Panics, naming `tests/install`, where there is none.
pub(crate) fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(DAEMON_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("`{program}` is not installed: run tests/install as root"))
}

/// Panics unless this process is root: Postfix runs only as root, and Dovecot drops to another user for every mailbox.
pub(crate) fn require_root(server: &str) {
    assert!(
        rustix::process::geteuid().is_root(),
        "{server} must be started as root: run these tests as root, or in a container"
    );
}

/// Numeric user and group of a system account, from `/etc/passwd`.
pub(crate) fn system_account(name: &str) -> (u32, u32) {
    let table = std::fs::read_to_string("/etc/passwd").unwrap();
    let number = |field: Option<&str>| field.and_then(|text| text.parse().ok());
    table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
        .and_then(|fields| Some((number(fields.get(2).copied())?, number(fields.get(3).copied())?)))
        .unwrap_or_else(|| panic!("there is no system account `{name}`: run tests/install as root"))
}

/// Numeric id of a system group, from `/etc/group`.
pub(crate) fn system_group(name: &str) -> u32 {
    let table = std::fs::read_to_string(Path::new("/etc/group")).unwrap();
    table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))
        .and_then(|fields| fields.get(2)?.parse().ok())
        .unwrap_or_else(|| panic!("there is no system group `{name}`: run tests/install as root"))
}

#[test]
#[should_panic(expected = "run tests/install")]
fn a_missing_program_fails_the_test_and_says_what_to_do() {
    find("no-such-mail-client");
}
