//! Rotation as operators do it: how far it is, what can be done now, and each step. A step is typed by nobody here: who asks
//! for it says what came of it. No view holds a secret.
//!
//! - [`RotationView`]: the places of one credential. [`of_one`], [`of_all`]: where they are read.
//! - [`stage`], [`verify`], [`promote`], [`roll_back`], [`retire`], [`discard`], [`deleted`], [`count`], [`label`], [`retry`]
//!   and [`run`]: the steps. [`due`]: what somebody has to do.

mod due;
mod hints;
mod possible;
mod read;
mod stage;
mod steps;
mod view;

pub use due::{DueItem, DueWanted, Dues, due};
pub use hints::{command, deleted_command, next_command, quoted, target};
pub use possible::{Possible, Step};
pub use read::{
    Held, Rotations, RotationsWanted, held, held_of_one, of_all, of_one, of_subject, page, records_of_all, subject,
};
pub use stage::{NewCredential, NewKey, Staged, StagedAs, about_label, check_room, described, is_placed, named, stage};
pub use steps::{
    DeletedWanted, Labelled, Logins, Promote, Retire, RetiredView, Retirement, RollBack, RolledBack, Run, RunView,
    Verified, count, deleted, discard, in_use, label, promote, retire, retry, roll_back, run, verify,
};
pub use view::{NextView, Places, PreviousView, RotationView, StoredView, places_state, typed};
