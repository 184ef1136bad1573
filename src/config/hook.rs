//! `[rotation.hook]`: a program of the site's own. It must never be a line for a shell.

use std::time::Duration;

use super::reader::Table;
use super::sections::{mins, secs, set};
use super::value::Value;
use crate::rotation::{Action, HookOptions};

/// How long a hook has where nothing is said.
const HOOK_TIMEOUT: Duration = secs(60);

/// What a hook is told of the environment: enough to find its programs and its files.
const HOOK_ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LANG"];

/// `[rotation.hook]`. Without a command there is none.
pub(super) fn hook(mut table: Table<'_, '_>) -> Option<HookOptions> {
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
