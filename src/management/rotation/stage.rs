//! A new credential is put beside the one that logins use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hints::{command, deleted_command};
use super::read::of_subject;
use super::view::RotationView;
use crate::credential;
use crate::credential::oauth2::{self, Authentication, Grant, KEY_BITS, OAuth2};
use crate::management::accounts::profile_of;
use crate::management::credentials::{Proof, random_id};
use crate::management::given::check_label;
use crate::management::{Desk, Fault, GivenSecret, ManagementError};
use crate::model::{CredentialKind, Leftover, LeftoverReason, Profile, Slot, Slots, StoredCredential};
use crate::rotation::machine::{self, StepError};
use crate::rotation::{Inventory, Record, Room, Subject};

/// Labels that are named where there is no room; of more there is the number.
const NAMED_MAX: usize = 10;

/// The days that a certificate made here is good for: two years, as portals suggest.
const DAYS: u16 = 730;

/// No certificate is made for longer.
const DAYS_MAX: u16 = 3650;

/// A new credential. An app password is a `secret` and nothing else.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// What it is called in the provider's portal.
    pub label: Option<String>,
    /// The app password; or the application's new secret.
    pub secret: Option<GivenSecret>,
    /// When that ends, as the portal shows it.
    pub secret_expires: Option<Timestamp>,
    /// The application's new certificate, in PEM form.
    pub certificate: Option<String>,
    /// The certificate's private key, in PEM form.
    pub key: Option<GivenSecret>,
    /// The JSON file of the service account's new key.
    pub service_account: Option<GivenSecret>,
    /// Make a key here, and a certificate for it to be uploaded in the portal.
    pub new_key: Option<NewKey>,
}

impl NewCredential {
    fn proof(&self) -> Proof {
        Proof {
            secret: self.secret.clone(),
            secret_expires: self.secret_expires,
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            service_account: self.service_account.clone(),
        }
    }
}

/// A key that is made here and shown to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewKey {
    /// How long its certificate is good for: 1 to 3650.
    #[schema(minimum = 1, maximum = 3650)]
    pub days: u16,
    /// How long it is: 2048 or 3072.
    pub bits: usize,
}

impl Default for NewKey {
    fn default() -> Self {
        Self { days: DAYS, bits: KEY_BITS[1] }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Staged {
    /// The id of what was given.
    pub id: String,
    /// Whether it was there before.
    pub staged_as: StagedAs,
    /// How things are now.
    pub rotation: RotationView,
    /// How tight it is at the provider, where it is, and what is to be deleted there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub room: Vec<String>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// When it ends, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// The certificate that is to be uploaded in the portal, where a key was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Whether it was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StagedAs {
    /// It is next.
    Next,
    /// It was next already.
    NextAlready,
    /// It is the current one already.
    CurrentAlready,
}

/// Puts a new credential beside the current one, if there is room for it at the provider.
///
/// # Errors
/// [`Fault::Conflict`] where another one is staged, with who and when; see [`ManagementError`].
pub async fn stage(desk: &Desk, subject: &Subject, new: NewCredential) -> Result<Staged, ManagementError> {
    let record = desk.record(subject).await?;
    let before = subject.slots(&record).cloned().unwrap_or_default();
    let profile = profile_of(&desk.profiles, record.upstream())?;
    let label = new.label.as_deref().map(check_label).transpose()?.unwrap_or_default().to_owned();
    let (credential, room, notes, certificate) = match subject.kind() {
        CredentialKind::AppPassword => {
            let credential = app_password(new, label, profile)?;
            // Where it is there already, nothing is added.
            let room =
                if is_placed(&before, &credential) { Vec::new() } else { check_room(&before, subject, profile)? };
            let notes = about_label(&credential, &before, subject);
            (credential, room, notes, None)
        }
        CredentialKind::OAuth2 => {
            let (credential, certificate) = of_application(new, &label, &record, subject, &before)?;
            (credential, Vec::new(), Vec::new(), certificate)
        }
    };
    let id = desk.rotation().stage(subject, &credential).await?;
    let ends = OAuth2::from_stored(&credential).ok().and_then(|credential| credential.expires());
    let rotation = of_subject(desk, subject).await?;
    let is_current = rotation.places.current.as_ref().is_some_and(|current| current.id == id);
    let staged_as = match (id == credential.id, is_current) {
        (true, _) => StagedAs::Next,
        (false, true) => StagedAs::CurrentAlready,
        (false, false) => StagedAs::NextAlready,
    };
    let is_new = staged_as == StagedAs::Next;
    let (notes, certificate) = if is_new { (notes, certificate) } else { (Vec::new(), None) };
    Ok(Staged { id, staged_as, rotation, room, notes, ends, certificate })
}

fn app_password(new: NewCredential, label: String, profile: &Profile) -> Result<StoredCredential, ManagementError> {
    let (proof, new_key) = (new.proof(), new.new_key);
    let Proof { secret: Some(secret), secret_expires: None, certificate: None, key: None, service_account: None } =
        proof
    else {
        return Err(not_only_a_secret());
    };
    if new_key.is_some() {
        return Err(not_only_a_secret());
    }
    let (secret, id) = (secret.into_secret(), random_id()?);
    let stored = credential::new_app_password(&secret, profile.app_password, id, "", Timestamp::now())?;
    Ok(StoredCredential { label, ..stored })
}

fn not_only_a_secret() -> ManagementError {
    let message = "an app password is a secret and nothing else; the rest is for --kind oauth2, or a domain as @DOMAIN";
    ManagementError::new(Fault::Usage, message)
}

/// The credential of before with another proof; and the certificate that is to be uploaded, if a key was made.
fn of_application(
    new: NewCredential,
    label: &str,
    record: &Record,
    subject: &Subject,
    slots: &Slots,
) -> Result<(StoredCredential, Option<String>), ManagementError> {
    let Some(before) = &slots.current else {
        return Err(ManagementError::missing(format!(
            "{} has no OAuth2 credential of its own yet; give it one with `locum oauth set`, `oauth login` or `oauth \
             add-tenant`",
            subject.name()
        )));
    };
    debug_assert!(subject.slots(record).is_some(), "the slots are of that record");
    if let (Some(_), Some(next)) = (&new.new_key, &slots.next) {
        let (by, since) = (next.by.clone(), next.since);
        return Err(StepError::UnderWay { by, since, state: machine::state_name(&next.state) }.into());
    }
    let made_here = new.new_key.is_some();
    let authentication = authentication(new, &OAuth2::from_stored(before)?, subject)?;
    let label = if label.is_empty() { hint_of(&authentication) } else { label.to_owned() };
    let certificate = match &authentication {
        Authentication::Certificate { certificate, .. } if made_here => Some(certificate.clone()),
        _ => None,
    };
    let stored = oauth2::successor(before, authentication, random_id()?, &label, Timestamp::now())?;
    Ok((if made_here { oauth2::with_key_made_here(stored) } else { stored }, certificate))
}

fn authentication(new: NewCredential, before: &OAuth2, subject: &Subject) -> Result<Authentication, ManagementError> {
    let usage = |message: &str| Err(ManagementError::new(Fault::Usage, message));
    let (proof, new_key) = (new.proof(), new.new_key);
    match (before.grant, &proof.service_account, new_key) {
        (_, Some(_), Some(_)) => usage("give one proof: a service account's key, or a new key that is made here"),
        (Grant::ServiceAccount, Some(file), None) => {
            let new = OAuth2::service_account(&file.clone().into_secret())?;
            if new.client_id != before.client_id {
                return Err(ManagementError::invalid(format!(
                    "this key is of {}, and the current one of {}: for another service account use `locum oauth set` or \
                     `oauth add-tenant`",
                    new.client_id, before.client_id
                )));
            }
            Ok(new.authentication)
        }
        (Grant::ServiceAccount, None, _) => {
            usage("Google makes the keys of service accounts: name the new one's file with --service-account")
        }
        (_, Some(_), None) => {
            usage("the credential is no service account's; give a secret, a certificate or --new-key")
        }
        (_, None, Some(NewKey { days, bits })) => {
            if proof.is_given() || !(1..=DAYS_MAX).contains(&days) || !KEY_BITS.contains(&bits) {
                return usage(
                    "a new key is 2048 or 3072 bits long, its certificate good for 1 to 3650 days, and nothing else is given",
                );
            }
            Ok(oauth2::new_key(&format!("locum {}", subject.name()), bits, days, Timestamp::now())?)
        }
        (_, None, None) => match proof.authentication()? {
            Some(authentication) => Ok(authentication),
            None => usage("give a secret, a certificate with its key, or have a new key made"),
        },
    }
}

/// By what a portal shows something that has no name there. Of a secret that would be its first characters, and no part of a
/// secret is put down or shown: its end and the day that it was given in tell it from others.
fn hint_of(authentication: &Authentication) -> String {
    match authentication {
        Authentication::Public | Authentication::Secret { .. } => String::new(),
        Authentication::Certificate { certificate, .. } => {
            oauth2::thumbprint(certificate).map(|digest| format!("thumbprint {digest}")).unwrap_or_default()
        }
        Authentication::Key { id, .. } => id.as_ref().map(|id| format!("key {id}")).unwrap_or_default(),
    }
}

/// Whether it is the current one already, or the staged one.
pub fn is_placed(slots: &Slots, credential: &StoredCredential) -> bool {
    let placed = [Slot::Current, Slot::Next].into_iter().filter_map(|slot| slots.in_slot(slot));
    placed.into_iter().any(|stored| stored.material == credential.material)
}

/// What there is to say of its label: nobody finds one without in the portal, nor one of two that are called alike.
pub fn about_label(credential: &StoredCredential, before: &Slots, subject: &Subject) -> Vec<String> {
    if credential.label.is_empty() {
        let command = command("label", subject, "LABEL");
        return vec![format!("it has no label, so nobody will find it in the portal; give it one: {command}")];
    }
    let placed = before.current.iter().chain(before.previous.as_ref().map(|previous| &previous.credential));
    let mut labels = placed.map(|stored| &stored.label).chain(before.leftovers.iter().map(|left| &left.label));
    if labels.any(|label| *label == credential.label) {
        return vec![format!("another one is called {:?}, too: in the portal they look alike", credential.label)];
    }
    Vec::new()
}

/// Says where it gets tight at the provider, in lines, and refuses where there is no room.
///
/// # Errors
/// [`Fault::Exists`] if the provider allows no more.
pub fn check_room(slots: &Slots, subject: &Subject, profile: &Profile) -> Result<Vec<String>, ManagementError> {
    let inventory = Inventory::of(slots, subject.kind(), Some(profile));
    let to_delete = tell_to_delete(&inventory, subject);
    if inventory.room() == Room::Full {
        let mut lines = vec![format!("{}, so nothing is staged", taken(&inventory, profile))];
        lines.extend(to_delete);
        return Err(ManagementError::new(Fault::Exists, lines.join("\n")));
    }
    let inventory = inventory.with_another();
    let first = match inventory.room() {
        Room::Enough => return Ok(Vec::new()),
        Room::Little { left } => format!("{}: {left} more can be made there", taken(&inventory, profile)),
        Room::Full => format!("{}: this is the last one", taken(&inventory, profile)),
    };
    Ok([vec![first], to_delete].concat())
}

fn taken(inventory: &Inventory<'_>, profile: &Profile) -> String {
    let max = inventory.max.unwrap_or_default();
    format!("{} of the {max} app passwords that {} allows are taken", inventory.count, profile.name)
}

/// What is to be deleted in the portal to make room, and how to say that it was.
fn tell_to_delete(inventory: &Inventory<'_>, subject: &Subject) -> Vec<String> {
    let left = &inventory.to_delete;
    let command = match left[..] {
        [] => {
            let command = command("count", subject, "N");
            return vec![format!("delete some in the portal, then say how many there are: {command}")];
        }
        [left] => deleted_command(subject, &left.label, &left.id),
        _ => command("deleted", subject, "--all"),
    };
    let mut lines = vec![format!("delete in the portal, then tick off by `{command}`:")];
    lines.extend(left.iter().take(NAMED_MAX).map(|left| format!("  {}", described(left))));
    if left.len() > NAMED_MAX {
        lines.push(format!("  and {} more", left.len() - NAMED_MAX));
    }
    lines
}

/// A credential as people know it: by the name that it bears in the provider's portal, and by its id.
pub fn named(label: &str, id: &str) -> String {
    if label.is_empty() { format!("{id} (no label)") } else { format!("{label:?} ({id})") }
}

/// A leftover in one line.
pub fn described(left: &Leftover) -> String {
    let Leftover { id, label, since, by, why, upstream, until: _ } = left;
    let why = match why {
        LeftoverReason::Retired => "retired",
        LeftoverReason::Discarded => "discarded",
        LeftoverReason::Moved => "left behind",
        LeftoverReason::Asked => "asked of a command that has not answered (so it may not exist)",
    };
    let at = upstream.as_ref().map_or_else(String::new, |upstream| format!(" at {upstream}"));
    let since = since.strftime("%Y-%m-%d %H:%M UTC");
    format!("{}{at}, {why} {since} by {by}", named(label, id))
}
