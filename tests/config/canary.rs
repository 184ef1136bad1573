//! A secret that was pasted into the file is in no error, wherever it was pasted; and no text at all makes the reader
//! panic.

use std::path::Path;

use locum::config::Config;
use proptest::prelude::*;

const CANARY: &str = "cAnArY7f3a9";

const SAMPLE: &str = include_str!("../../config/locum.toml");

const VAULTS: [&str; 4] = [
    include_str!("valid/vault-everything.toml"),
    include_str!("valid/vault-smallest.toml"),
    include_str!("valid/vault-kubernetes.toml"),
    include_str!("valid/vault-certificate.toml"),
];

fn errors(text: &str) -> Option<String> {
    let errors = Config::parse(text, Path::new("locum.toml")).err()?;
    Some(format!("{errors}\n{errors:?}\n{:?}", errors.iter().collect::<Vec<_>>()))
}

#[track_caller]
fn assert_unsaid(text: &str) {
    let said = errors(text).unwrap_or_else(|| panic!("no error, so nothing is proven:\n{text}"));
    assert!(!said.to_lowercase().contains(&CANARY.to_lowercase()), "{said}\n{text}");
}

/// Ways to write the canary as a value, right and wrong.
fn as_value(canary: &str) -> Vec<String> {
    vec![
        format!("\"{canary}\""),
        format!("'{canary}'"),
        format!("[\"{canary}\"]"),
        format!("[[\"{canary}\", 1], {{ x = \"{canary}\" }}]"),
        format!("{{ password = \"{canary}\" }}"),
        format!("{{ x = {{ y = [\"{canary}\"] }} }}"),
        format!("\"\"\"\n{canary}\n\"\"\""),
        format!("'''\n-----BEGIN PRIVATE KEY-----\n{canary}\n'''"),
        // Not TOML.
        canary.to_owned(),
        format!("{canary} {canary}"),
        format!("{canary} = {canary}"),
        format!("\"{canary}"),
        format!("{canary}\""),
        format!("'{canary}"),
        format!("\"{canary}\" {canary}"),
        format!("\"{canary}\\q{canary}\""),
        format!("[\"{canary}\", {canary}"),
        format!("[\"{canary}\" \"{canary}\"]"),
        format!("{{ {canary} = {canary}, }}"),
        format!("{{ {canary} }}"),
        format!("\"\n{canary}\n{canary} = \"{canary}\"\n[{canary}]\n\""),
        format!("\"\n{canary}==\n{canary}.{canary} = 1\n[[{canary}.x]]\n[upstream.{canary}]\nbar = 1\n\""),
        format!("\"\"\"\n{canary}\n[upstream.{canary}.imap]"),
        format!("-----BEGIN PRIVATE KEY-----\n{canary}\n{canary}=\n-----END PRIVATE KEY-----"),
        format!("1979-05-27T{canary}"),
        format!("0x{canary}"),
        format!("\"\u{0}{canary}\""),
    ]
}

/// Puts the canary in the place of each value of a good file.
fn try_each_value_of(file: &str) {
    let settings: Vec<usize> = file
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(" = ") && !line.starts_with("# "))
        .map(|(number, _)| number)
        .collect();
    assert!(settings.len() > 2);
    // With a blank and a sign, so that no value is right by chance; and plain, as the worst case of the shown names.
    for canary in [CANARY.to_owned(), format!("{CANARY} {CANARY}!"), format!("{}-x", CANARY.to_uppercase())] {
        for value in as_value(&canary) {
            for &number in &settings {
                let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
                let (key, _) = lines[number].trim_start_matches('#').split_once(" = ").expect("a setting");
                lines[number] = format!("{key} = {value}");
                // An error of another kind, so that there is always something said.
                let text = format!("{}\n[colour]\n", lines.join("\n"));
                assert_unsaid(&text);
            }
        }
    }
}

#[test]
fn in_place_of_any_value_of_the_sample() {
    try_each_value_of(SAMPLE);
}

#[test]
fn in_place_of_any_value_of_a_vault() {
    VAULTS.into_iter().for_each(try_each_value_of);
}

#[test]
fn under_a_wrong_key() {
    let keys =
        ["password", "client-secret", "token", "app-password", "key", "api_key", "colour", "nmae", "\"odd key\""];
    for header in [
        "",
        "[store]",
        "[store.login]",
        "[tls]",
        "[[listener]]",
        "[limits]",
        "[upstream.work]",
        "[upstream.work.imap]",
        "[x.y]",
    ] {
        for key in keys {
            for value in as_value(CANARY) {
                assert_unsaid(&format!("{header}\n{key} = {value}\n"));
            }
        }
    }
}

#[test]
fn a_secret_is_named_for_what_it_is() {
    for line in [
        "password = \"x\"",
        "app-password = \"x\"",
        "client-secret = \"x\"",
        "token = \"x\"",
        "key = \"q83vEjRWeJA\"",
        "login = { password = \"x\" }",
        "logins = [{ name = \"a\", token = \"x\" }]",
    ] {
        for header in ["", "[store]", "[upstream.work]", "[upstream.work.imap]", "[vault]", "[vault.approle]"] {
            let said = errors(&format!("{header}\n{line}\n")).unwrap();
            assert!(said.contains("secrets do not belong in the configuration"), "{header} {line}\n{said}");
            assert!(said.contains("locum account add"), "{header} {line}\n{said}");
        }
    }
    let said = errors("[tls]\nkey = \"\"\"\n-----BEGIN PRIVATE KEY-----\n\"\"\"\n").unwrap();
    assert!(said.contains("secrets do not belong in the configuration"), "{said}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = errors(&text);
    }

    #[test]
    fn no_toml_like_text_makes_the_reader_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("["), Just("[["), Just("]"), Just("]]"), Just("{"), Just("}"), Just("="), Just(" = "), Just(","), Just("."),
                Just("\n"), Just("\r"), Just("\""), Just("'"), Just("\"\"\""), Just("'''"), Just("#"), Just("\\"), Just("é"),
                Just("\u{feff}"), Just("\0"), Just("1"), Just("-"), Just("true"), Just("1979-05-27"), Just("1e9"),
                Just("listener"), Just("upstream"), Just("store"), Just("tls"), Just("imap"), Just("name"), Just("bind"),
                Just("limits"), Just("login-timeout"), Just("\"5m\""), Just("key-file"), Just("preset"), Just("\"gmail\""),
                Just("[[listener]]\n"), Just("[upstream.x]\n"), Just("[store]\nkey-file = \"k\"\n"), Just("password"),
            ],
            0..60,
        )
    ) {
        let _ = errors(&pieces.concat());
    }

    #[test]
    fn no_damage_to_the_sample_makes_the_reader_panic(
        at in 0..SAMPLE.len(), length in 0..200_usize, insert in "[\\PC\n\"'\\[\\]{}=#]{0,8}",
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, insert.bytes());
        let _ = errors(&String::from_utf8_lossy(&bytes));
    }
}
