//! The steps of a rotation, as operators ask for them. Those that log in at a provider take as long as that takes: somebody
//! has to run the desk's access tokens meanwhile, and to wait.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::read::of_subject;
use super::view::RotationView;
use crate::management::given::check_label;
use crate::management::{Desk, Fault, ManagementError};
use crate::model::{Protocol, Slot, Slots, StoredCredential};
use crate::rotation::machine::StepError;
use crate::rotation::{Given, RotationError, Subject, clear_old_reports};

/// By which protocols to log in, and to which mailbox.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logins {
    /// By these alone; none: by all that take the credential.
    pub protocols: Vec<Protocol>,
    /// For a domain: to this mailbox of it; if it is not said, to that of an account that uses the domain's credential.
    pub mailbox: Option<String>,
}

/// What logins came to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Verified {
    /// By which it logged in.
    pub protocols: Vec<Protocol>,
    /// What by others stands in the way, though not because of the credential.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How things are now.
    pub rotation: RotationView,
}

/// Logs in with what is staged, by each protocol that takes it.
///
/// # Errors
/// [`Fault::Invalid`] if the provider refuses it; see [`ManagementError`].
pub async fn verify(desk: &Desk, subject: &Subject, by: &Logins) -> Result<Verified, ManagementError> {
    let rotation = desk.rotation().by_mailbox(by.mailbox.clone());
    let id = rotation.staged(subject).await?;
    let verified = rotation.verify(subject, &id, &by.protocols).await?;
    let (protocols, notes) = (verified.protocols, verified.notes);
    Ok(Verified { protocols, notes, rotation: of_subject(desk, subject).await? })
}

/// How a promotion is made.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promote {
    /// The id of what is meant; if it is not said, what is staged.
    pub id: Option<String>,
    /// Though nobody has logged in with it.
    pub unverified: bool,
}

/// Lets logins use what is staged. Sessions that are open stay as they are.
///
/// # Errors
/// [`Fault::Conflict`] if nothing is staged, or nobody has logged in with it of late; see [`ManagementError`].
pub async fn promote(desk: &Desk, subject: &Subject, how: &Promote) -> Result<RotationView, ManagementError> {
    let rotation = desk.rotation();
    let id = match &how.id {
        Some(id) => id.clone(),
        None => rotation.staged(subject).await?,
    };
    rotation.promote(subject, &id, how.unverified).await?;
    of_subject(desk, subject).await
}

/// Which one is to be current again.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollBack {
    /// Its label or id; if it is not said, the one before. But what was rolled back already is not brought back again.
    pub to: Option<String>,
    /// Why, for those who read the history.
    pub reason: Option<String>,
    /// For a domain: the mailbox to log in to.
    pub mailbox: Option<String>,
    /// Without a login with it before.
    pub unverified: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RolledBack {
    /// Whether logins used it already: nothing is done then.
    pub was_done: bool,
    /// By which protocols it logged in before.
    pub protocols: Vec<Protocol>,
    /// What by others stands in the way, though not because of the credential.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How things are now.
    pub rotation: RotationView,
}

/// Lets logins use the one before again, if the provider still takes it.
///
/// # Errors
/// [`Fault::Invalid`] if the provider refuses it; see [`ManagementError`].
pub async fn roll_back(desk: &Desk, subject: &Subject, how: &RollBack) -> Result<RolledBack, ManagementError> {
    let rotation = desk.rotation().by_mailbox(how.mailbox.clone());
    let before = rotation.slots(subject).await?;
    let (mut protocols, mut notes) = (Vec::new(), Vec::new());
    let Some(to) = to_go_back_to(&before, how.to.as_deref())? else {
        return Ok(RolledBack { was_done: true, protocols, notes, rotation: of_subject(desk, subject).await? });
    };
    // Where there is none to go back to, that is said by the step.
    if !how.unverified && before.previous.as_ref().is_some_and(|previous| previous.usable) {
        let verified = rotation.verify_previous(subject, &[]).await?;
        (protocols, notes) = (verified.protocols, verified.notes);
    }
    rotation.roll_back(subject, &to, how.reason.as_deref().unwrap_or("by hand")).await?;
    Ok(RolledBack { was_done: false, protocols, notes, rotation: of_subject(desk, subject).await? })
}

/// The id of the one that is named; or of the one before, unless it is the one that was given up: a rollback that is asked for
/// again must not go forward. `None`: it is current already.
fn to_go_back_to(slots: &Slots, named: Option<&str>) -> Result<Option<String>, StepError> {
    let is_it = |stored: &StoredCredential, name: &str| stored.id == name || stored.label == name;
    let is_current = |name: &str| slots.current.as_ref().is_some_and(|current| is_it(current, name));
    let Some(previous) = &slots.previous else {
        return if named.is_some_and(is_current) { Ok(None) } else { Err(StepError::NoPrevious) };
    };
    match named {
        None if previous.was_rolled_back() => Ok(None),
        // Of two of one name it is the one that is not current.
        Some(name) if !is_it(&previous.credential, name) => {
            if is_current(name) {
                Ok(None)
            } else {
                Err(StepError::OtherPrevious)
            }
        }
        None | Some(_) => Ok(Some(previous.credential.id.clone())),
    }
}

/// How the one before is given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retire {
    /// Before its grace is over, and though sessions use it.
    pub now: bool,
    /// And have the command in `[rotation.hook]` delete at the provider what is used no more.
    pub by_hook: bool,
}

/// What became of the one before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RetiredView {
    /// What was given up; none if there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retirement>,
    /// What the hook deleted at the provider, by label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// What is still to be deleted there, by label or id, because the hook cannot be asked for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Who uses it all the same, or that this could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How things are now.
    pub rotation: RotationView,
}

/// One that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retirement {
    /// Its id.
    pub id: String,
    /// What it is called in the provider's portal.
    pub label: String,
    /// Whether it is to be deleted there: not if the provider does not take it any more.
    pub to_delete: bool,
}

/// Gives up the one before: after that there is no way back to it.
///
/// # Errors
/// [`Fault::Conflict`] while its grace lasts or sessions use it; see [`ManagementError`].
pub async fn retire(desk: &Desk, subject: &Subject, how: Retire) -> Result<RetiredView, ManagementError> {
    let rotation = desk.rotation();
    let previous = rotation.slots(subject).await?.previous;
    let (mut deleted, mut left, mut note) = (Vec::new(), Vec::new(), None);
    let id = previous.as_ref().map(|previous| previous.credential.id.as_str());
    if how.by_hook {
        let revoked = rotation.retire_by_hook(subject, id, how.now).await?;
        deleted = revoked.deleted.into_iter().map(|left| left.label).collect();
        let name = |left: crate::model::Leftover| if left.label.is_empty() { left.id } else { left.label };
        left = revoked.left.into_iter().map(name).collect();
    } else if let Some(id) = id {
        note = rotation.retire(subject, id, how.now).await?.note;
    }
    clear_old_reports(&desk.directory, Timestamp::now()).await;
    let retired = previous.map(|previous| Retirement {
        id: previous.credential.id,
        label: previous.credential.label,
        to_delete: previous.usable && !how.by_hook,
    });
    Ok(RetiredView { retired, deleted, left, note, rotation: of_subject(desk, subject).await? })
}

/// Gives up what is staged. Logins go on with the current one.
///
/// # Errors
/// See [`ManagementError`].
pub async fn discard(desk: &Desk, subject: &Subject, reason: Option<&str>) -> Result<RotationView, ManagementError> {
    let rotation = desk.rotation();
    let id = rotation.staged(subject).await?;
    rotation.discard(subject, &id, reason).await?;
    of_subject(desk, subject).await
}

/// What was deleted in the provider's portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeletedWanted {
    /// Labels as the portal shows them, or ids.
    pub names: Vec<String>,
    /// All that were to be deleted.
    pub all: bool,
}

/// Ticks off what was deleted in the provider's portal.
///
/// # Errors
/// [`Fault::Conflict`] if logins may use one that is named so; see [`ManagementError`].
pub async fn deleted(desk: &Desk, subject: &Subject, what: DeletedWanted) -> Result<RotationView, ManagementError> {
    let rotation = desk.rotation();
    let slots = rotation.slots(subject).await?;
    let DeletedWanted { names, all } = what;
    if names.is_empty() != all {
        return Err(ManagementError::new(Fault::Usage, "name what was deleted, or say that all of it was"));
    }
    let names = if all { slots.leftovers.iter().map(|left| left.id.clone()).collect() } else { names };
    for name in &names {
        if let Some(slot) = in_use(&slots, name) {
            let to_do = match slot {
                Slot::Current => "replace it",
                Slot::Next => "discard it first",
                Slot::Previous => "retire it first",
            };
            return Err(ManagementError::new(
                Fault::Conflict,
                format!("{name} is the {slot} one, and logins may use it: if it was deleted all the same, {to_do}"),
            ));
        }
    }
    for name in &names {
        rotation.deleted(subject, name).await?;
    }
    of_subject(desk, subject).await
}

/// The place in which there is one of that name, if nothing that is to be deleted bears it.
pub fn in_use(slots: &Slots, name: &str) -> Option<Slot> {
    let is_left = slots.leftovers.iter().any(|left| left.id == name || left.label == name);
    let mut placed = Slot::ALL.into_iter().filter(|_| !is_left);
    placed.find(|slot| slots.in_slot(*slot).is_some_and(|stored| stored.id == name || stored.label == name))
}

/// Puts down how many exist at the provider in all, as somebody counted them there.
///
/// # Errors
/// [`Fault::Invalid`] if there are more of ours alone; see [`ManagementError`].
pub async fn count(desk: &Desk, subject: &Subject, counted: u32) -> Result<RotationView, ManagementError> {
    desk.rotation().count(subject, counted).await?;
    of_subject(desk, subject).await
}

/// A name that one bears in the provider's portal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// The name.
    pub label: String,
    /// Which one; if it is not said, what is staged, or the current one if nothing is.
    #[serde(default)]
    pub place: Option<Slot>,
}

/// Puts down the name that one bears in the provider's portal, and says in which place that is.
///
/// # Errors
/// See [`ManagementError`].
pub async fn label(desk: &Desk, subject: &Subject, what: &Labelled) -> Result<Slot, ManagementError> {
    let (rotation, label) = (desk.rotation(), check_label(&what.label)?);
    let is_staged = rotation.slots(subject).await?.next.is_some();
    let slot = what.place.unwrap_or(if is_staged { Slot::Next } else { Slot::Current });
    rotation.label(subject, slot, label).await?;
    Ok(slot)
}

/// Lets nodes try again what the provider refused.
///
/// # Errors
/// See [`ManagementError`].
pub async fn retry(desk: &Desk, subject: &Subject) -> Result<RotationView, ManagementError> {
    desk.rotation().try_again(subject).await?;
    of_subject(desk, subject).await
}

/// How the whole sequence is run.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// By these protocols alone; none: by all that take the credential.
    pub protocols: Vec<Protocol>,
    /// For a domain: the mailbox to log in to.
    pub mailbox: Option<String>,
    /// With an app password that the command in `[rotation.hook]` makes, or sets at the provider; if not, with what is staged.
    pub by_hook: bool,
}

/// What a whole rotation came to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RunView {
    /// The id of the credential that is current now.
    pub id: String,
    /// Whether it was current before: nothing had to be done.
    pub was_done: bool,
    /// What by some protocol stands in the way, though not because of the credential.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How things are now.
    pub rotation: RotationView,
}

/// The whole sequence with what is staged, or with what the hook makes: verify, promote, and a login with what is current
/// then. One that the provider refuses is discarded, or rolled back: logins go on with the one before.
///
/// # Errors
/// See [`ManagementError`].
pub async fn run(desk: &Desk, subject: &Subject, how: &Run) -> Result<RunView, ManagementError> {
    let rotation = desk.rotation().by_mailbox(how.mailbox.clone());
    let rotated = if how.by_hook {
        rotation.run_by_hook(subject, &how.protocols).await
    } else {
        rotation.run(subject, Given::Staged, &how.protocols).await
    };
    let rotated = rotated.map_err(|error: RotationError| ManagementError::from(error))?;
    let (id, was_done, notes) = (rotated.id, rotated.was_done, rotated.notes);
    Ok(RunView { id, was_done, notes, rotation: of_subject(desk, subject).await? })
}
