//! `locum rotate count`, `label` and `retry`: what somebody knows that Locum cannot see.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::{output, places};
use crate::management::rotation::{self, Labelled, quoted};
use crate::management::{Desk, check_label};
use crate::model::Slot;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Count {
    #[command(flatten)]
    target: Target,
    /// How many the provider's portal shows.
    #[arg(value_name = "N")]
    count: u32,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Label {
    #[command(flatten)]
    target: Target,
    /// The name that it bears in the provider's portal.
    label: String,
    /// Which one: next, current or previous. Without it, what is staged, or the current one if nothing is.
    #[arg(long, value_name = "PLACE")]
    place: Option<Slot>,
}

pub(super) async fn count(desk: &Desk, arguments: &Count) -> Result<()> {
    let subject = arguments.target.subject()?;
    let counted = rotation::count(desk, &subject, arguments.count).await;
    let counted = counted.map_err(|error| hint::failed_to_manage(error, &subject))?;
    output::note(format!("{}: {}", subject.name(), places::counted(&counted)));
    Ok(())
}

pub(super) async fn label(desk: &Desk, arguments: &Label) -> Result<()> {
    let subject = arguments.target.subject()?;
    let label = check_label(&arguments.label)?;
    let wanted = Labelled { label: label.to_owned(), place: arguments.place };
    let slot = rotation::label(desk, &subject, &wanted).await;
    let slot = slot.map_err(|error| hint::failed_to_manage(error, &subject))?;
    output::note(format!("{}: the {slot} one is called {label:?} in the provider's portal", subject.name()));
    Ok(())
}

pub(super) async fn retry(desk: &Desk, target: &Target) -> Result<()> {
    let subject = target.subject()?;
    let retried = rotation::retry(desk, &subject).await.map_err(|error| hint::failed_to_manage(error, &subject))?;
    output::note(format!("{}: nodes try it again, whatever the provider said before", subject.name()));
    hint::next(&format!("locum probe {}", quoted(&retried.name)));
    Ok(())
}
