//! What Locum is built from, tests included, is what `.deny.toml` lets in: one TLS library with one provider of cryptography,
//! no C library for TLS, nothing from outside the registry, and only licences that its users can live with. cargo-deny
//! judges; `tests/install` provides it.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::NamedTempFile;

use crate::top;

/// The real program: `LOCUM_TEST_CARGO_DENY`, or the one that `tests/install` put into the cache.
fn cargo_deny() -> PathBuf {
    let cache = || {
        let folder = env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
        folder.unwrap_or_default().join("locum-tests/cargo-deny-0.20.2/cargo-deny")
    };
    let path = env::var_os("LOCUM_TEST_CARGO_DENY").map_or_else(cache, PathBuf::from);
    assert!(path.is_file(), "there is no cargo-deny at {}: run tests/install", path.display());
    path
}

/// What it says of this project under that configuration, with what is on this machine and without advisories, which are on
/// another.
fn check(config: &str) -> Output {
    let file = NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(&file, config).unwrap();
    let mut command = Command::new(cargo_deny());
    command.current_dir(top()).args(["--offline", "--locked", "--config"]).arg(file.path());
    command.args(["check", "bans", "licenses", "sources"]).output().unwrap()
}

fn said(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{stdout}{stderr}")
}

fn rules() -> String {
    fs::read_to_string(top().join(".deny.toml")).unwrap()
}

#[test]
fn locum_is_built_from_what_may_be_in_it() {
    let output = check(&rules());
    assert!(output.status.success(), "{}", said(&output));
    // What is not used of the rules is a spelling mistake, as a rule.
    assert!(!said(&output).contains("unused"), "{}", said(&output));
}

/// The rules bite: of each kind one is turned against something that is there.
#[test]
fn what_may_not_be_in_it_is_found() {
    let mut rules = rules();
    for (rule, turned) in [
        ("\"reqwest:<0.13\"", "\"reqwest:<999\""),
        ("crate = \"tokio-util\", deny-multiple", "crate = \"hashbrown\", deny-multiple"),
        ("\"aws_lc_rs\", \"aws-lc-rs\"", "\"ring\""),
        ("    \"ISC\",\n", ""),
        ("rust-lang/crates.io-index", "elsewhere/index"),
    ] {
        assert!(rules.contains(rule), "{rule}");
        rules = rules.replacen(rule, turned, 1);
    }
    let output = check(&rules);
    assert!(!output.status.success());
    for complaint in ["banned", "duplicate", "feature-banned", "rejected", "source-not-allowed"] {
        let said = said(&output);
        assert!(said.contains(&format!("error[{complaint}]")), "{complaint}: {said}");
    }
}
