//! `locum completions` and `locum man`: what a shell and `man` know of the command line, made from its own definition. It
//! must never say what the program does not take: nothing here is written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_complete::Shell;
use clap_mangen::Man;

use super::exit::{self, Failure};
use super::output;

/// What the footer of each page says.
const MANUAL: &str = "Locum";

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pages {
    /// Write the pages of all commands into this folder, made if it is missing. Without it the first page is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints what makes that shell complete the words of the command line.
pub(super) fn completions(mut command: clap::Command, arguments: &Completions) -> Result<()> {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::line(String::from_utf8(script)?.trim_end());
    Ok(())
}

/// Prints the first page, or writes all of them.
pub(super) fn pages(command: clap::Command, arguments: &Pages) -> Result<()> {
    // Each page would have one more for `help`, which says what is on the page.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        page_of(command).render(&mut page)?;
        output::line(String::from_utf8(page)?.trim_end());
        return Ok(());
    };
    fs::create_dir_all(folder)
        .map_err(|error| Failure::new(exit::CANNOT_CREATE, format!("cannot make {}: {error}", folder.display())))?;
    write_all(command, folder)
}

fn write_all(command: clap::Command, folder: &Path) -> Result<()> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_all(below.clone(), folder)?;
    }
    page_of(command).generate_to(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    Ok(())
}

fn page_of(command: clap::Command) -> Man {
    let source = format!("locum {}", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(source).manual(MANUAL)
}
