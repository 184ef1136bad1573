//! `locum rotate count`, `label` and `retry`: what somebody knows that Locum cannot see.

use anyhow::Result;

use super::{Target, hint};
use crate::cli::desk;
use crate::cli::{output, places};
use crate::management::{Desk, check_label};
use crate::model::Slot;
use crate::rotation::Inventory;

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
    let rotation = desk::rotation(desk);
    let failed = |error| hint::failed(error, &subject);
    rotation.count(&subject, arguments.count).await.map_err(failed)?;
    let slots = rotation.slots(&subject).await.map_err(failed)?;
    let held = places::of_one(&desk.directory, &places::typed(&subject)).await?;
    let upstream = held.into_iter().next().map(|held| held.upstream).unwrap_or_default();
    let profile = desk.profiles.get(&upstream).map(|profile| &**profile);
    let inventory = Inventory::of(&slots, subject.kind(), profile);
    output::note(format!("{}: {}", subject.name(), places::counted(&inventory)));
    Ok(())
}

pub(super) async fn label(desk: &Desk, arguments: &Label) -> Result<()> {
    let subject = arguments.target.subject()?;
    let label = check_label(&arguments.label)?;
    let rotation = desk::rotation(desk);
    let failed = |error| hint::failed(error, &subject);
    let is_staged = rotation.slots(&subject).await.map_err(failed)?.next.is_some();
    let slot = arguments.place.unwrap_or(if is_staged { Slot::Next } else { Slot::Current });
    rotation.label(&subject, slot, label).await.map_err(failed)?;
    output::note(format!("{}: the {slot} one is called {label:?} in the provider's portal", subject.name()));
    Ok(())
}

pub(super) async fn retry(desk: &Desk, target: &Target) -> Result<()> {
    let subject = target.subject()?;
    desk::rotation(desk).try_again(&subject).await.map_err(|error| hint::failed(error, &subject))?;
    output::note(format!("{}: nodes try it again, whatever the provider said before", subject.name()));
    hint::next(&format!("locum probe {}", hint::quoted(&places::typed(&subject))));
    Ok(())
}
