//! `docs/vault.md` does not lie: its shell blocks, those with a mark before them, are run from top to bottom in one shell,
//! on a real server, as somebody would who pastes them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use locum::model::{RecordId, RecordKind, TicketKeys};
use tempfile::TempDir;

use crate::openbao::{Authority, Dev, binary, output_of};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/vault.md");

/// What the shell is told before the first block: to stop where something fails, and to say where; and who types what a
/// prompt asks for.
const PRELUDE: &str = r#"
set -eu
trap 'echo "failed behind: $block" >&2' EXIT
locum() {
    case "$1 ${2-}" in
        "account add") echo 'wvxg eyaj cdzx nqlw' | command locum "$@" --secret-stdin ;;
        *) command locum "$@" ;;
    esac
}
"#;
const EPILOGUE: &str = "trap - EXIT\necho \"the hash is $hash\"\n";

/// A block that is to be run.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_marked_block_runs() {
    let dev = Dev::start().await;
    let blocks = marked(&fs::read_to_string(PAGE).unwrap());
    assert!(blocks.len() > 12, "marks are gone: {}", blocks.len());
    let keys = RecordId::new(RecordKind::Tickets, TicketKeys::NAME);
    let named = |block: &Block| block.text.contains(&format!("locum/{keys}"));
    assert!(blocks.iter().any(named), "the keys of tickets are {keys}");
    let mut script = PRELUDE.to_owned();
    for Block { line, text } in &blocks {
        script += &format!("block='line {line}'\n{text}\n");
    }
    let home = TempDir::new().unwrap();
    prepare(home.path(), dev.token_text());
    let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script + EPILOGUE).current_dir(home.path());
    shell.env_clear().env("HOME", home.path()).env("PATH", path).env("BAO_ADDR", dev.address());
    shell.env("BAO_CACERT", home.path().join("clients-ca.pem")); // nothing is signed here: that it arrives is what counts
    let said = tokio::task::spawn_blocking(move || output_of(&mut shell)).await.unwrap();
    let account = RecordId::new(RecordKind::Account, "alice@gmail.com");
    let config: toml::Table = fs::read_to_string(home.path().join("locum/locum.toml")).unwrap().parse().unwrap();
    assert!(config["store"]["ca-file"].as_str().unwrap().ends_with("/clients-ca.pem"), "{config}");
    assert!(said.contains(&format!("the hash is {}", account.hash())), "{said}");
}

/// The home of somebody who did what the page asks for before its first block: `bao` and `locum` are found, the checkout
/// is the working directory, `bao login` was run.
fn prepare(home: &Path, token: &str) {
    fs::write(home.join(".vault-token"), token).unwrap();
    fs::set_permissions(home.join(".vault-token"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(home.join("bin")).unwrap();
    symlink(binary(), home.join("bin/bao")).unwrap();
    symlink(env!("CARGO_BIN_EXE_locum"), home.join("bin/locum")).unwrap();
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/config"), home.join("config")).unwrap();
    for name in ["clients-ca", "kubernetes-ca"] {
        Authority::new(name, home);
    }
}

/// The blocks behind a line `<!-- run -->`.
fn marked(page: &str) -> Vec<Block> {
    let mut lines = page.lines().enumerate();
    let mut blocks = Vec::new();
    while let Some((at, line)) = lines.next() {
        if line != "<!-- run -->" {
            continue;
        }
        assert_eq!(lines.next().map(|(_, fence)| fence), Some("```sh"), "line {}: no block behind the mark", at + 1);
        let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        blocks.push(Block { line: at + 3, text: text.join("\n") });
    }
    blocks
}

#[test]
fn only_marked_blocks_are_run() {
    let page = "a\n```sh\nb\n```\n<!-- run -->\n```sh\nc\nd\n```\n<!-- run -->\n```sh\ne\n```\n";
    let block = |line, text: &str| Block { line, text: text.to_owned() };
    assert_eq!(marked(page), [block(7, "c\nd"), block(12, "e")]);
}
