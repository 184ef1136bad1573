//! What the house looks like: what stands at the top, how a file begins and how long it may be, what code must not
//! say, and that the links of its pages lead somewhere.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::pages::Page;
use crate::source::{Source, Token, tokens};
use crate::{files, read, report, top};

/// What may stand at the top, beside names that begin with a dot.
const TOP: &[&str] = &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "config", "docs", "src", "tests"];

/// Longer than this without its tests, a file is two.
const LINES_MAX: usize = 600;

/// Marks of work that is not done. Cut in two, or this file would carry them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that stand for work that is not done.
const STAND_INS: &[&str] = &["todo", "unimplemented", "dbg"];

#[test]
fn the_top_holds_what_it_should() {
    let mut strange = names_at_the_top();
    strange.retain(|name| !is_at_home(name));
    assert!(strange.is_empty(), "at the top only {} and dotfiles, not: {strange:?}", TOP.join(", "));
}

#[test]
fn each_source_file_says_what_it_is() {
    let files = files("src", "rs").into_iter().chain(files("tests", "rs"));
    let silent = files.filter(|file| !read(file).starts_with("//! "));
    report(&silent.map(|file| format!("{}:1: begins without `//!`: what is it?", file.display())).collect::<Vec<_>>());
}

#[test]
fn no_source_file_is_too_long() {
    let lengths = Source::all().into_iter().map(|it| (it.file, lines_of_code(&it.text)));
    let long = lengths.filter(|(_, lines)| *lines > LINES_MAX);
    let complaints = long.map(|(file, lines)| {
        format!("{}:{LINES_MAX}: {lines} lines without tests, more than {LINES_MAX}", file.display())
    });
    report(&complaints.collect::<Vec<_>>());
}

#[test]
fn no_code_unwraps() {
    let complaints = Source::all().into_iter().flat_map(|source| {
        let lines = unwraps(&source.code());
        lines.into_iter().map(move |line| {
            format!(
                "{}:{line}: `unwrap`: `expect` says why it cannot fail, `?` says that it can",
                source.file.display()
            )
        })
    });
    report(&complaints.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let mut complaints = Vec::new();
    for file in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        complaints.extend(left_for_later(&read(&file)).into_iter().map(|(line, what)| {
            format!("{}:{line}: `{what}`: do it now, or file it where it will be seen", file.display())
        }));
    }
    report(&complaints);
}

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for page in Page::all() {
        for link in page.links() {
            let broken = broken(&page, &link.text);
            complaints.extend(broken.map(|why| format!("{}:{}: {why}", page.file.display(), link.line)));
        }
    }
    report(&complaints);
}

/// The names at the top that belong to the project: what git knows, or all but cargo's if this is no checkout.
fn names_at_the_top() -> Vec<String> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(top()).output();
    let known = git.ok().filter(|it| it.status.success()).map(|it| String::from_utf8(it.stdout).unwrap());
    let known: Vec<String> = known.iter().flat_map(|it| it.split('\0')).map(str::to_owned).collect();
    let mut names: Vec<String> = if known.iter().any(|file| file == "Cargo.toml") {
        known.iter().filter_map(|file| file.split('/').next()).map(str::to_owned).collect()
    } else {
        let entries = top().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name != "target").collect()
    };
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

fn is_at_home(name: &str) -> bool {
    TOP.contains(&name) || name.starts_with('.')
}

/// The lines of a file before its tests.
fn lines_of_code(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

/// The lines that call `unwrap` of an option or a result, or hand it on. Other types may have a function of that name.
fn unwraps(code: &[Token<'_>]) -> Vec<usize> {
    let is_standard = |it: &[Token<'_>]| it[1].text == "." || ["Option", "Result"].contains(&it[0].text);
    let calls = code.windows(3).filter(|it| is_standard(it) && it[2].text == "unwrap");
    calls.map(|it| it[2].line).collect()
}

/// Where a text says that something is still to be done, and with what word.
fn left_for_later(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = line.split(|it: char| !it.is_alphanumeric() && it != '_');
        found.extend(words.filter(|word| UNFINISHED.contains(word)).map(|word| (at + 1, word.to_owned())));
    }
    let tokens = tokens(text);
    let calls = tokens.windows(2).filter(|it| STAND_INS.contains(&it[0].text) && it[1].text == "!");
    found.extend(calls.map(|it| (it[0].line, format!("{}!", it[0].text))));
    found
}

/// Why a link of a page leads nowhere, if it does. Links out of the project are not followed.
fn broken(page: &Page, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = page.file.parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() { page.file.clone() } else { normal(&folder.join(path)) };
    if !path.is_empty() && (path.starts_with('/') || !top().join(&file).exists()) {
        return Some(format!("`{target}`: there is no {}", file.display()));
    }
    let anchor = anchor.filter(|_| file.extension().is_some_and(|it| it == "md"))?;
    let text = if path.is_empty() { page.text.clone() } else { read(&file) };
    let there = Page { text, file }.anchors();
    (!there.iter().any(|it| it == anchor)).then(|| format!("`{target}`: no heading has that anchor, only {there:?}"))
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // One `..` too many stays, and leads out of the project.
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::without_tests;

    #[test]
    fn only_some_names_are_at_home_at_the_top() {
        assert!(is_at_home("Cargo.toml") && is_at_home(".ci") && is_at_home("src"));
        assert!(!is_at_home("Makefile") && !is_at_home("cargo.toml") && !is_at_home("scripts"));
        assert!(names_at_the_top().iter().any(|it| it == "src"), "{:?}", names_at_the_top());
    }

    #[test]
    fn tests_do_not_make_a_file_long() {
        assert_eq!(lines_of_code("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(lines_of_code("a\n#[cfg(test)]\nuse b;\nc\n"), 4);
    }

    #[test]
    fn an_unwrap_is_found_outside_tests() {
        let lines = |text| unwraps(&without_tests(&tokens(text)));
        assert_eq!(lines("a\n  .unwrap();\nb.map(Option::unwrap)"), [2, 3]);
        assert!(
            lines("a.unwrap_or(b); // c.unwrap()\nKey::unwrap(d); \"e.unwrap()\"; #[cfg(test)] mod t { f.unwrap(); }")
                .is_empty()
        );
    }

    #[test]
    fn what_is_left_for_later_is_found() {
        let (word, macro_name) = (UNFINISHED[0], STAND_INS[0]);
        let text = format!("a // {word}: b\n{macro_name}!();\n\"{macro_name}!()\"\n{word}S");
        assert_eq!(left_for_later(&text), [(1, word.to_owned()), (2, format!("{macro_name}!"))]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let page = Page { file: "docs/page.md".into(), text: "# One thing\n".to_owned() };
        for good in ["../Cargo.toml", "./../src/", "#one-thing", "https://example.com/nothing", "mailto:a@example.com"]
        {
            assert_eq!(broken(&page, good), None, "{good}");
        }
        for bad in ["nothing.md", "../../Cargo.toml", "/src", "#another-thing", "../src/nothing.rs#L1"] {
            assert!(broken(&page, bad).is_some(), "{bad}");
        }
    }
}
