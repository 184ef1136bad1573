//! What the pages show is what the program takes: each `locum …` in `README.md` and `docs` is held against the help of
//! the program, its verbs and its flags. Placeholders (`<name>`, `NAME`, `{a,b}`, `…`) stand for anything.

use std::collections::BTreeMap;
use std::process::Command;

use crate::pages::Page;
use crate::report;

/// The help of one verb.
#[derive(Debug, Clone)]
struct Help {
    verbs: Vec<String>,
    flags: Vec<String>,
}

#[test]
fn commands_shown_are_commands_taken() {
    let mut program = Program { asked: BTreeMap::new() };
    let (mut complaints, mut seen) = (Vec::new(), 0);
    for page in Page::all() {
        for code in page.code() {
            for command in commands(&code.text) {
                seen += 1;
                let wrong = wrong_in(&command, &mut |verbs| program.help(verbs));
                complaints.extend(wrong.map(|wrong| format!("{}:{}: {wrong}", page.file.display(), code.line)));
            }
        }
    }
    assert!(seen > 0, "no page shows a command");
    report(&complaints);
}

/// The program, and what it was asked already.
struct Program {
    asked: BTreeMap<Vec<String>, Help>,
}

impl Program {
    fn help(&mut self, verbs: &[String]) -> Help {
        if let Some(help) = self.asked.get(verbs) {
            return help.clone();
        }
        let output = Command::new(env!("CARGO_BIN_EXE_locum")).args(verbs).arg("--help").output().unwrap();
        assert!(output.status.success(), "locum {} --help: {}", verbs.join(" "), output.status);
        let help = read_help(&String::from_utf8(output.stdout).unwrap());
        self.asked.insert(verbs.to_vec(), help.clone());
        help
    }
}

/// The verbs and flags that a help text names.
fn read_help(text: &str) -> Help {
    let commands = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A verb is indented by two; what is said of it may go on below, further in.
    let verbs = commands.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let verbs = verbs.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    let options = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    // What is said of a flag begins two blanks behind it.
    let heads = options.filter_map(|line| line.split("  ").next());
    let words = heads.flat_map(|head| head.split([' ', ',', '=', '[', ']']));
    Help { verbs, flags: words.filter(|word| word.starts_with('-')).map(str::to_owned).collect() }
}

/// The commands of the program in a line of shell, each as the words after its name.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line);
    let mut found = Vec::new();
    for part in line.split(['|', ';', '&']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        // `cargo run --release -- verb` runs it as well.
        let through_cargo =
            words.starts_with(&["cargo", "run"]).then(|| words.iter().position(|it| *it == "--")).flatten();
        // Before it may stand what runs it: `sudo -u locum`, `LOCUM_CONFIG=…`, `$`, `ExecStart=`. The last one is meant.
        let by_name = words.iter().rposition(|it| *it == "locum" || it.ends_with("/locum"));
        let by_name = by_name.filter(|at| words[..*at].iter().all(|it| is_runner(it)));
        if let Some(at) = through_cargo.or(by_name) {
            found.push(words[at + 1..].iter().map(|it| (*it).to_owned()).collect());
        }
    }
    found
}

/// Whether a word may stand before a command and leave it one.
fn is_runner(word: &str) -> bool {
    ["$", "#", ">", "sudo", "-u", "locum", "time", "exec", "env", "then", "do"].contains(&word) || word.contains('=')
}

/// What of a command the program does not take.
fn wrong_in(words: &[String], help_of: &mut dyn FnMut(&[String]) -> Help) -> Option<String> {
    let mut verbs = Vec::new();
    let mut help = help_of(&verbs);
    let mut after_flag = false;
    for word in words {
        let word = word.trim_matches(['[', ']']);
        if word == "--" || ["<", ">", "2>", "<<", ">>"].contains(&word) {
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            let flag = word.split('=').next().unwrap_or(word);
            if !help.flags.iter().any(|it| it == flag) {
                return Some(format!("`locum {}` takes no `{flag}`", verbs.join(" ")));
            }
            after_flag = !word.contains('=');
            continue;
        }
        if help.verbs.iter().any(|it| it == word) {
            verbs.push(word.to_owned());
            help = help_of(&verbs);
        } else if is_placeholder(word) {
            break;
        } else if !help.verbs.is_empty() && !after_flag {
            return Some(format!("`locum {}` has no verb `{word}`", verbs.join(" ")));
        }
        after_flag = false;
    }
    None
}

fn is_placeholder(word: &str) -> bool {
    word.contains(['<', '{', '…', '*']) || word.contains("...") || word.chars().all(|it| it.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "What it is.\n\nUsage: x\n\nCommands:\n  serve    Run\n  account  Accounts, and a long text\n           \
                       that goes on\n  help     Print\n\nOptions:\n      --config <FILE>  Text with --other\n  -h, --help  Print\n";
    const ACCOUNT: &str = "Commands:\n  list\n\nOptions:\n  -h, --help\n";
    const LIST: &str = "Options:\n      --json\n          Print\n      --config <FILE>\n  -h, --help\n";

    #[track_caller]
    fn wrong(line: &str) -> Option<String> {
        let commands = commands(line);
        assert_eq!(commands.len(), 1, "{line}");
        wrong_in(&commands[0], &mut |verbs| {
            read_help(if verbs.len() > 1 {
                LIST
            } else if verbs == ["account"] {
                ACCOUNT
            } else {
                TOP
            })
        })
    }

    #[test]
    fn what_the_program_takes_passes() {
        for good in [
            "locum serve",
            "$ sudo -u locum locum --config /etc/locum.toml account list --json # shows all",
            "cargo run --release --locked -- account list",
            "ExecStart=/usr/bin/env LOCUM_CONFIG=x /usr/bin/locum serve",
            "locum account list --config=<file> | jq",
            "locum <verb> --anything",
            "locum --help",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
    }

    #[test]
    fn what_the_program_does_not_take_is_said() {
        assert_eq!(wrong("locum account list --jsno").as_deref(), Some("`locum account list` takes no `--jsno`"));
        assert_eq!(wrong("locum start").as_deref(), Some("`locum ` has no verb `start`"));
        assert_eq!(wrong("cd x && locum account show a").as_deref(), Some("`locum account` has no verb `show`"));
        assert_eq!(wrong("locum --other serve").as_deref(), Some("`locum ` takes no `--other`"));
        assert_eq!(wrong("cargo run -- account lsit").as_deref(), Some("`locum account` has no verb `lsit`"));
    }

    #[test]
    fn other_words_are_no_commands() {
        for other in [
            "apt-get install locum",
            "locum.toml",
            "install -m 0755 target/release/locum /usr/bin",
            "systemctl start locum",
        ] {
            assert!(commands(other).is_empty(), "{other}");
        }
    }
}
