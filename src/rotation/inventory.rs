//! What of an account exists at its provider, as far as is known, and how much room is left there. Providers allow so many
//! app passwords for one user (Microsoft 40, Apple 25), and say no only when somebody stands in the portal and makes
//! another one. Pure: no I/O, and it never sees a secret.

use jiff::Timestamp;

use crate::model::{CredentialKind, Leftover, Profile, Slot, Slots};

/// So many are left: time to delete some.
const LEFT_MIN: usize = 5;

/// So much of what the provider allows is taken, in percent: time to delete some.
const TAKEN_MAX_PERCENT: usize = 90;

/// What exists at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory<'s> {
    /// How many, as far as is known.
    pub count: usize,
    /// How many of these are none of ours, as an operator counted them.
    pub elsewhere: u32,
    /// How many the provider allows; `None` if that is not known.
    pub max: Option<u32>,
    /// What is to be deleted there, the oldest first.
    pub to_delete: Vec<&'s Leftover>,
    /// What is to be deleted at providers that the account lived at before.
    pub left_behind: Vec<&'s Leftover>,
    /// Since when the oldest of ours that is in a place is here.
    pub oldest: Option<Timestamp>,
}

/// How much room there is for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As far as is known, as much as one likes.
    Enough,
    /// It gets tight: so many more.
    Little {
        /// How many more there can be.
        left: usize,
    },
    /// None.
    Full,
}

impl<'s> Inventory<'s> {
    /// Of these places, at that provider.
    pub fn of(slots: &'s Slots, kind: CredentialKind, profile: Option<&Profile>) -> Self {
        let max = profile.and_then(|profile| profile.app_passwords_max).filter(|_| kind == CredentialKind::AppPassword);
        let mut to_delete: Vec<&Leftover> = slots.to_delete().collect();
        to_delete.sort_by_key(|left| left.since);
        let oldest = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot)).map(|stored| stored.created).min();
        Self {
            count: slots.at_provider(),
            elsewhere: slots.elsewhere,
            max,
            to_delete,
            left_behind: slots.leftovers.iter().filter(|left| left.upstream.is_some()).collect(),
            oldest,
        }
    }

    /// How much room there is.
    pub fn room(&self) -> Room {
        let Some(max) = self.max.and_then(|max| usize::try_from(max).ok()) else { return Room::Enough };
        match max.saturating_sub(self.count) {
            0 => Room::Full,
            left if left <= LEFT_MIN || self.count * 100 >= max * TAKEN_MAX_PERCENT => Room::Little { left },
            _ => Room::Enough,
        }
    }

    /// The same with one more.
    #[must_use]
    pub fn with_another(mut self) -> Self {
        self.count += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LeftoverReason, Material, Secret, StoredCredential, presets};

    fn leftover(id: &str, at: i64, upstream: Option<&str>) -> Leftover {
        Leftover {
            id: id.to_owned(),
            label: String::new(),
            since: Timestamp::from_second(at).unwrap(),
            by: "alice@one".to_owned(),
            why: LeftoverReason::Retired,
            until: None,
            upstream: upstream.map(str::to_owned),
        }
    }

    fn slots(elsewhere: u32) -> Slots {
        let stored = StoredCredential {
            id: "a".to_owned(),
            label: String::new(),
            created: Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("A")),
        };
        Slots { elsewhere, ..Slots::of(stored) }
    }

    fn room(preset: &str, count: u32) -> Room {
        let profile = presets::preset(preset).unwrap();
        let slots = slots(count - 1);
        let inventory = Inventory::of(&slots, CredentialKind::AppPassword, Some(&profile));
        assert_eq!(inventory.count, count as usize);
        inventory.room()
    }

    #[test]
    fn room_is_told_before_there_is_none() {
        for (preset, steps) in [
            ("exchange-online", [(34, Room::Enough), (35, Room::Little { left: 5 }), (39, Room::Little { left: 1 })]),
            ("icloud", [(19, Room::Enough), (20, Room::Little { left: 5 }), (24, Room::Little { left: 1 })]),
        ] {
            for (count, expected) in steps {
                assert_eq!(room(preset, count), expected, "{preset} {count}");
            }
        }
        assert_eq!([room("exchange-online", 40), room("icloud", 25), room("icloud", 26)], [Room::Full; 3]);
        assert_eq!(room("gmail", 400), Room::Enough, "of Google no limit is known");
    }

    #[test]
    fn of_many_some_percent_are_few() {
        let slots = slots(899);
        let mut inventory = Inventory::of(&slots, CredentialKind::AppPassword, None);
        assert_eq!(inventory.room(), Room::Enough);
        inventory.max = Some(1_000);
        assert_eq!(inventory.room(), Room::Little { left: 100 });
        inventory.count -= 1;
        assert_eq!(inventory.room(), Room::Enough);
    }

    #[test]
    fn what_is_to_be_deleted_is_told_oldest_first_and_by_provider() {
        let mut slots = slots(0);
        slots.leftovers = vec![leftover("young", 2, None), leftover("away", 0, Some("x")), leftover("old", 1, None)];
        let inventory = Inventory::of(&slots, CredentialKind::AppPassword, None);
        let ids = |left: &[&Leftover]| left.iter().map(|left| left.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&inventory.to_delete), ["old", "young"]);
        assert_eq!(ids(&inventory.left_behind), ["away"]);
        assert_eq!((inventory.count, inventory.oldest), (3, Some(Timestamp::UNIX_EPOCH)));
    }
}
