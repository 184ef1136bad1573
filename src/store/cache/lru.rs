//! A map that holds so many records and no more: those unused for longest go first. What goes is dropped at once, which
//! maps that tidy up later do not promise; for a secret, dropped is wiped.

use std::collections::{BTreeMap, HashMap};

use crate::model::RecordId;

/// A bounded map from records to something, in the order of use.
#[derive(Debug)]
pub(in crate::store) struct Lru<V> {
    slots: HashMap<RecordId, Slot<V>>,
    /// Each slot's id, by when it was used: the first is the next to go.
    order: BTreeMap<u64, RecordId>,
    uses: u64,
    max: usize,
}

#[derive(Debug)]
struct Slot<V> {
    used: u64,
    value: V,
}

impl<V> Lru<V> {
    pub(in crate::store) fn new(max: usize) -> Self {
        Self { slots: HashMap::new(), order: BTreeMap::new(), uses: 0, max }
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The value, which counts as used now.
    pub(in crate::store) fn touch(&mut self, id: &RecordId) -> Option<&mut V> {
        let slot = self.slots.get_mut(id)?;
        let id = self.order.remove(&slot.used).expect("each slot has a place in the order");
        self.uses += 1;
        slot.used = self.uses;
        self.order.insert(slot.used, id);
        Some(&mut slot.value)
    }

    /// The value, which does not count as used.
    pub(in crate::store) fn peek(&self, id: &RecordId) -> Option<&V> {
        self.slots.get(id).map(|slot| &slot.value)
    }

    /// As [`Lru::peek`], to be changed.
    pub(in crate::store) fn peek_mut(&mut self, id: &RecordId) -> Option<&mut V> {
        self.slots.get_mut(id).map(|slot| &mut slot.value)
    }

    /// Puts in a value. One that takes another's place does not count as used; a new one does.
    pub(in crate::store) fn insert(&mut self, id: &RecordId, value: V) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.value = value;
            return;
        }
        self.uses += 1;
        self.order.insert(self.uses, id.clone());
        self.slots.insert(id.clone(), Slot { used: self.uses, value });
        if self.slots.len() > self.max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.slots.remove(&oldest);
        }
    }

    pub(in crate::store) fn remove(&mut self, id: &RecordId) {
        if let Some(slot) = self.slots.remove(id) {
            self.order.remove(&slot.used);
        }
    }

    pub(in crate::store) fn clear(&mut self) {
        self.slots.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::RecordKind;

    fn id(name: &str) -> RecordId {
        RecordId::new(RecordKind::Client, name)
    }

    #[test]
    fn what_was_unused_for_longest_goes_first_and_is_dropped_at_once() {
        let (value, mut map) = (Arc::new(()), Lru::new(2));
        for name in ["a", "b"] {
            map.insert(&id(name), Arc::clone(&value));
        }
        map.touch(&id("a")).unwrap();
        map.peek(&id("b")).unwrap();
        map.insert(&id("b"), Arc::clone(&value));
        map.insert(&id("c"), Arc::clone(&value));
        assert!(map.peek(&id("b")).is_none(), "looking at it is no use of it");
        assert!(map.peek(&id("a")).is_some() && map.peek(&id("c")).is_some());
        assert_eq!((map.len(), Arc::strong_count(&value)), (2, 3));

        map.remove(&id("a"));
        assert_eq!((map.len(), map.order.len(), Arc::strong_count(&value)), (1, 1, 2));
        map.clear();
        assert_eq!((map.len(), map.order.len(), Arc::strong_count(&value)), (0, 0, 1));
    }

    #[test]
    fn a_map_for_nothing_holds_nothing() {
        let mut map = Lru::new(0);
        map.insert(&id("a"), ());
        assert_eq!((map.len(), map.order.len()), (0, 0));
    }
}
