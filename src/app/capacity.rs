//! The places for sessions, of which a reload may make more or fewer. Fewer is no end for anybody: nobody new comes in until
//! enough have gone.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Gives and takes places.
#[derive(Debug)]
pub(super) struct Capacity {
    pub(super) permits: Arc<Semaphore>,
    /// How many there are.
    places: usize,
    wanted: watch::Receiver<usize>,
}

impl Capacity {
    /// So many, and the way to say how many from then on.
    pub(super) fn new(places: usize) -> (Self, watch::Sender<usize>) {
        let (sender, wanted) = watch::channel(places);
        (Self { permits: Arc::new(Semaphore::new(places)), places, wanted }, sender)
    }

    /// Sees to it that there are as many as are wanted, until it is dropped, or nobody can want others any more.
    pub(super) async fn keep(mut self) {
        let mut places = self.places;
        loop {
            let wanted = *self.wanted.borrow_and_update();
            if wanted >= places {
                self.permits.add_permits(wanted - places);
                places = wanted;
                if self.wanted.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let surplus = u32::try_from(places - wanted).unwrap_or(u32::MAX);
            tokio::select! {
                // In the line with those that come in: places that become free are taken from here first.
                taken = self.permits.acquire_many(surplus) => match taken {
                    Ok(taken) => {
                        taken.forget();
                        places = wanted;
                    }
                    Err(_) => return,
                },
                changed = self.wanted.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_come_at_once_and_go_when_they_are_free() {
        let (capacity, wanted) = Capacity::new(2);
        let permits = Arc::clone(&capacity.permits);
        let keeping = tokio::spawn(capacity.keep());
        let mut held = vec![Arc::clone(&permits).acquire_owned().await.unwrap()];
        held.push(Arc::clone(&permits).acquire_owned().await.unwrap());
        wanted.send_replace(3);
        held.push(Arc::clone(&permits).acquire_owned().await.unwrap());
        wanted.send_replace(1);
        tokio::task::yield_now().await;
        held.truncate(1);
        tokio::task::yield_now().await;
        assert!(Arc::clone(&permits).try_acquire_owned().is_err(), "the one place is taken");
        held.clear();
        drop(permits.acquire().await.unwrap());
        drop(wanted);
        keeping.await.unwrap();
        assert_eq!(permits.available_permits(), 1);
    }
}
