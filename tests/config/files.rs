//! The files in `valid/` and `invalid/`, and the files that cannot be read at all.
//!
//! `LOCUM_BLESS=1 cargo test --test config` writes the `.expected` files anew; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use locum::config::Config;

/// The `.toml` files of a folder beside this one, by name.
fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    assert!(files.len() >= 3, "the samples are gone");
    files
}

#[test]
fn valid_files_are_read() {
    for file in samples("valid") {
        if let Err(errors) = Config::load(&file) {
            panic!("{errors}");
        }
    }
}

#[test]
fn the_sample_configuration_is_read() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/locum.toml");
    let config = Config::load(&sample).unwrap();
    assert_eq!(config.listeners.len(), 3);
    assert_eq!(config.upstreams.len(), 3);
}

#[test]
fn of_invalid_files_everything_is_said_at_once() {
    for file in samples("invalid") {
        let text = fs::read_to_string(&file).unwrap();
        let errors = Config::parse(&text, Path::new("locum.toml")).expect_err(&file.display().to_string());
        let said = format!("{errors}\n");
        let expected = file.with_extension("expected");
        if std::env::var_os("LOCUM_BLESS").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, expected, "{}", file.display());
    }
}

#[test]
fn a_file_that_is_not_there_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locum.toml");
    let said = Config::load(&file).unwrap_err().to_string();
    let expected = "no such file\n    write one with `locum init`, or name another with --config";
    assert_eq!(said, format!("{}: {expected}", file.display()));
}

#[test]
fn a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let said = Config::load(folder.path()).unwrap_err().to_string();
    assert!(said.contains("this is a folder"), "{said}");
}

#[test]
fn a_file_that_is_not_utf_8_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locum.toml");
    fs::write(&file, b"# caf\xc3\xa9\nname = \"caf\xe9\"\n").unwrap();
    let said = Config::load(&file).unwrap_err().to_string();
    assert!(said.contains(":2:12: not UTF-8\n"), "{said}");
}

#[test]
fn a_device_without_end_is_no_configuration() {
    let said = Config::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(said.contains("larger than 1 MiB"), "{said}");
}

#[test]
fn of_some_other_file_not_every_line_is_complained_about() {
    let log = "Nov 22 20:36:23 host locum[1]: started\n".repeat(20_000);
    let settings: String = (0..20_000).map(|number| format!("colour-{number} = 1\n")).collect();
    for text in [log, settings, "colour.x = 1\n".repeat(20_000)] {
        let said = Config::parse(&text, Path::new("locum.toml")).unwrap_err().to_string();
        assert!(said.starts_with("locum.toml: more than 100 errors; 100 of them here\n"), "{said}");
        assert!((100..250).contains(&said.lines().count()), "{said}");
    }
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let text = "[store]\nkey-file = \"keys/locum.key\"\n[audit]\npath = \"/var/log/locum/audit.jsonl\"\n";
    let config = Config::parse(text, Path::new("/etc/locum/locum.toml")).unwrap();
    let said = format!("{:?}", config.store);
    assert!(said.contains("\"/etc/locum/keys/locum.key\"") && said.contains("\"/etc/locum/locum.db\""), "{said}");
    assert_eq!(config.audit.path.as_deref(), Some(Path::new("/var/log/locum/audit.jsonl")));
}
