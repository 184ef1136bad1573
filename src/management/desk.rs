//! What an operator works with: the records, and all that a node logs in to providers with, in the operator's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::Audit;
use crate::broker::{Broker, Directory};
use crate::credential::oauth2::Tokens;
use crate::model::Profile;
use crate::net::Https;
use crate::rotation::{self, Record, Rotation, RotationError, Subject, Witness};
use crate::store::Version;
use crate::upstream::Upstreams;

use super::{Fault, ManagementError};

/// All of it. Cheap to clone; a clone [in another's name](Desk::by) is another operator's desk.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The records, as of the last write; what is changed bears the operator's name.
    pub directory: Directory,
    /// The upstreams of the configuration.
    pub profiles: Arc<BTreeMap<String, Arc<Profile>>>,
    /// The names of the listeners of the configuration.
    pub listeners: Arc<[String]>,
    /// The names of the classes of quota of the configuration.
    pub classes: Arc<[String]>,
    /// Listeners with a window of enrolment, each with its end.
    pub windows: Arc<[(String, Timestamp)]>,
    /// What decides about logins, for those that operators have done to try a credential.
    pub broker: Arc<Broker>,
    /// What logs in to providers.
    pub upstreams: Arc<Upstreams>,
    /// Access tokens. Somebody has to run them for one to be had.
    pub tokens: Arc<Tokens>,
    /// What asks authorities.
    pub https: Https,
    /// Where what is done is put down.
    pub audit: Audit,
    /// How credentials are rotated.
    pub options: rotation::Options,
    /// Who is told of each point that a rotation passes.
    pub witness: Arc<dyn Witness>,
    /// Whose desk it is: `user@host`, or the name of an [`Operator`](crate::model::Operator).
    pub author: Arc<str>,
}

impl Desk {
    /// The same desk with another at it.
    #[must_use]
    pub fn by(&self, author: &str) -> Self {
        Self { directory: self.directory.by(author), author: Arc::from(author), ..self.clone() }
    }

    /// Rotates in the operator's name.
    pub fn rotation(&self) -> Rotation {
        let (broker, upstreams) = (Arc::clone(&self.broker), Arc::clone(&self.upstreams));
        Rotation::new(self.directory.clone(), broker, upstreams, self.audit.clone(), &self.author, self.options.clone())
            .watched_by(Arc::clone(&self.witness))
    }

    /// The record that a credential is in.
    pub(super) async fn record(&self, subject: &Subject) -> Result<Record, ManagementError> {
        let found = subject.read(&self.directory).await?;
        Ok(found.ok_or_else(|| RotationError::Missing(subject.clone()))?.record)
    }

    /// Whether a record is still as whoever asks has seen it, if they say how that was.
    pub(super) fn check_version(&self, found: Version, expected: Option<&str>) -> Result<(), ManagementError> {
        if expected.is_none_or(|expected| expected == found.to_string()) {
            return Ok(());
        }
        let message = "somebody changed it since you looked; nothing was changed here: look at it and ask again";
        Err(ManagementError::new(Fault::Conflict, message))
    }
}
