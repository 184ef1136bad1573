//! The completions and the manual, as the shells and `man` that are here take them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::run;

fn locum(arguments: &[&str]) -> String {
    run(Command::new(env!("CARGO_BIN_EXE_locum")).args(arguments))
}

#[test]
fn bash_completes_verbs_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("locum");
    fs::write(&script, locum(&["completions", "bash"])).unwrap();
    let words = |line: &str| {
        let last = line.split(' ').count() - 1;
        let ask = format!(
            "set -eu; . {}; COMP_WORDS=({line}{}); COMP_CWORD={last}; _locum locum \"${{COMP_WORDS[$COMP_CWORD]}}\" \
             \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            if line.ends_with(' ') { "''" } else { "" },
        );
        let said = run(Command::new("bash").args(["--norc", "-c", &ask]));
        said.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let verbs = words("locum ");
    assert!(["account", "client", "serve", "health", "man"].iter().all(|it| verbs.contains(*it)), "{verbs:?}");
    assert_eq!(words("locum acc"), BTreeSet::from(["account".to_owned()]));
    assert!(words("locum client issue --acc").contains("--account"));
}

#[test]
fn each_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = locum(&["completions", shell]);
        assert!(script.contains("locum") && script.contains("rotate"), "{shell}: {script}");
    }
}

#[test]
fn each_command_has_a_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    locum(&["man", "--out", folder.path().to_str().unwrap()]);
    let pages: BTreeSet<_> =
        fs::read_dir(folder.path()).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    for page in ["locum.1", "locum-serve.1", "locum-client-issue.1", "locum-store-rekey.1"] {
        assert!(pages.contains(page), "{page} is not among {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("help")), "{pages:?}");
    // `groff` names what it does not understand; its exit code does not tell. The last flag has it write plain text.
    let mut groff = Command::new("groff");
    groff.args(["-man", "-ww", "-Tutf8", "-P-cbou"]).args(pages.iter().map(|page| folder.path().join(page)));
    let output = crate::child::run(&mut groff, b"");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for heading in ["NAME", "SYNOPSIS", "DESCRIPTION"] {
        assert_eq!(text.lines().filter(|line| *line == heading).count(), pages.len(), "{heading}");
    }
    let first = locum(&["man"]);
    assert_eq!(first.trim_end(), fs::read_to_string(folder.path().join("locum.1")).unwrap().trim_end());
}
