//! `[rotation]`: how credentials are rotated.

use std::time::Duration;

use super::reader::Table;
use super::sections::{mins, secs, set};
use super::value::Value;
use crate::rotation::{Action, HookOptions, Options};

/// How long a hook has where nothing is said.
const HOOK_TIMEOUT: Duration = secs(60);

/// What a hook is told of the environment: enough to find its programs and its files.
const HOOK_ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LANG"];

/// `[rotation]`.
pub(super) fn rotation(mut table: Table<'_, '_>) -> Options {
    let mut options = Options::default();
    set(&mut options.grace, table.take("grace"), |value| {
        let reason = "a login may need the one before for as long as a node goes on with what it remembers";
        value.duration(mins(5)..=mins(90 * 24 * 60), reason)
    });
    set(&mut options.second_look, table.take("second-look"), |value| {
        value.duration(secs(1)..=mins(30), "providers take a while to know a new password everywhere")
    });
    set(&mut options.patience, table.take("patience"), |value| {
        value.duration(secs(0)..=mins(60), "somebody waits for it")
    });
    options.hook = hook(table.section("hook"));
    table.finish();
    options
}

/// `[rotation.hook]`. Without a command there is none.
fn hook(mut table: Table<'_, '_>) -> Option<HookOptions> {
    let command = table.take("command");
    let mut timeout = HOOK_TIMEOUT;
    set(&mut timeout, table.take("timeout"), |value| {
        value.duration(
            secs(1)..=mins(10),
            "somebody waits for it; and for twice as long nobody else rotates the account",
        )
    });
    let actions = table.take("actions").map_or_else(|| Some(vec![Action::Make]), actions);
    table.finish();
    let environment = HOOK_ENVIRONMENT.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
    let environment = environment.collect();
    Some(HookOptions { command: command.and_then(program)?, timeout, actions: actions?, environment })
}

/// A program and its arguments.
fn program(value: Value<'_, '_>) -> Option<Vec<String>> {
    const REMEDY: &str = "such as [\"/usr/local/lib/locum/make-app-password\", \"--quick\"]: no shell reads it";

    let (reader, at) = (value.reader(), value.at);
    let command = value.list(|item| {
        let text = item.text()?;
        if text.chars().any(char::is_control) {
            return item.wrong("an argument in \"command\" has a control character", None);
        }
        Some(text.to_owned())
    })?;
    if command.first().is_some_and(|program| program.starts_with('/')) {
        return Some(command);
    }
    reader.wrong(at, "\"command\" must begin with the path of a program, from \"/\" on", Some(REMEDY));
    None
}

/// What it can be asked for.
fn actions(value: Value<'_, '_>) -> Option<Vec<Action>> {
    let words = [Action::Make, Action::Set, Action::Revoke].map(|action| (action.name(), action));
    let (reader, at) = (value.reader(), value.at);
    let actions = value.list(|item| item.one_of(&words))?;
    if actions.contains(&Action::Make) && actions.contains(&Action::Set) {
        let remedy = "\"make\" where an account has several app passwords at once, \"set\" where it has one password";
        reader.wrong(at, "\"actions\" has both \"make\" and \"set\"", Some(remedy));
        return None;
    }
    Some(actions)
}
