//! The places for sessions: who gets one, and whose is taken where there is none left. It must never take the place of a
//! client that has logged in, or whose login is being decided; and it never waits.
//!
//! Whoever connects is *unproven* until it has logged in. At a bound the one that has been idle for longest, of the address
//! that has most of them, gives its place to the newcomer; or, if that one has not had its time yet, the one that has been
//! idle for longest of all: a busy site of many clients is no reason to keep silent strangers. If none has had its time, the
//! newcomer is turned away.
//!
//! An address from which somebody has logged in of late is *known*. Strangers give way before it does, and at once if the newcomer
//! is of such an address: a crowd that nobody has seen before keeps none of the usual clients out.
//!
//! **Invariant:** strangers who come when three quarters of the places are of unproven connections take no more; the rest is for
//! clients that are in, and for known addresses.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::model::network;

/// File descriptors that no newcomer is given: they are for the store, the audit, Vault, and operators. Those that are in
/// and have no upstream yet have one each besides.
const DESCRIPTORS_KEPT: usize = 64;

/// Connections that have lost their place and are told so. More are closed without a word: each keeps a descriptor
/// meanwhile.
const LEAVING_MAX: usize = 64;

/// Addresses that are known, of some 100 bytes each. With one more the one from which nobody came for longest is a stranger's.
const KNOWN_MAX: usize = 20_000;

/// How long an address is known after a login: from one working day to the next.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a connection is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    /// Its address has all the connections that it may have.
    Address,
    /// Its address has all the connections that it may have without a login.
    Unproven,
    /// All places are taken.
    Full,
    /// The process has no file descriptors to spare.
    Descriptors,
    /// It has given its place to another one.
    Displaced,
}

impl Shed {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Address, Self::Unproven, Self::Full, Self::Descriptors, Self::Displaced];

    /// Its name, in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Unproven => "unproven",
            Self::Full => "full",
            Self::Descriptors => "descriptors",
            Self::Displaced => "displaced",
        }
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Capacity(Arc<Mutex<State>>);

/// One connection's place, from accept to close; dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    state: Arc<Mutex<State>>,
    displaced: CancellationToken,
}

#[derive(Debug)]
struct State {
    bounds: Bounds,
    next: u64,
    /// By the order in which they came. Displaced ones are not among them.
    holders: HashMap<u64, Holder>,
    unproven: usize,
    addresses: HashMap<IpAddr, Address>,
    /// Those without an address of their own, and addresses, that have idle unproven connections.
    idle: BTreeSet<Rank>,
    /// The idle unproven connections, first those of strangers: of each sort the first has been so for longest.
    ages: BTreeSet<(Sort, u64)>,
    leaving: usize,
    /// Addresses from which somebody logged in, and when that was last.
    known: LruCache<IpAddr, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    sessions: usize,
    unproven: usize,
    unproven_per_address: usize,
    per_address: Option<usize>,
    grace: Duration,
}

#[derive(Debug)]
struct Holder {
    /// `None`: a front end, which speaks for many.
    network: Option<IpAddr>,
    since: Instant,
    standing: Standing,
    displaced: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Idle,
    /// Its login is being decided.
    Deciding,
    Proven,
}

/// Whether somebody logs in from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Stranger,
    Known,
}

#[derive(Debug)]
struct Address {
    sort: Sort,
    connections: usize,
    unproven: usize,
    idle: BTreeSet<u64>,
}

/// Strangers come last, and of each sort the heaviest address: by how many connections it has without a login, and of two alike
/// the one whose oldest came first.
type Rank = (Reverse<Sort>, usize, Reverse<u64>);

impl Capacity {
    pub(super) fn new(options: &Options) -> Self {
        Self(Arc::new(Mutex::new(State {
            bounds: Bounds::of(options),
            next: 0,
            holders: HashMap::new(),
            unproven: 0,
            addresses: HashMap::new(),
            idle: BTreeSet::new(),
            ages: BTreeSet::new(),
            leaving: 0,
            known: LruCache::unbounded(),
        })))
    }

    /// So many from now on. Those that are there stay.
    pub(super) fn change(&self, options: &Options) {
        self.state().bounds = Bounds::of(options);
    }

    /// A place for a connection from there (`None`: from a front end), where the process can open so many files more.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn enter(&self, peer: Option<IpAddr>, descriptors: usize) -> Result<Place, Shed> {
        let mut state = self.state();
        let network = peer.map(network);
        state.admit(network)?;
        let sort = state.sort_of(network);
        state.make_room(descriptors, sort)?;
        let (id, displaced) = (state.next, CancellationToken::new());
        state.next += 1;
        let holder = Holder { network, since: Instant::now(), standing: Standing::Idle, displaced: displaced.clone() };
        state.insert(id, holder);
        Ok(Place { id, state: Arc::clone(&self.0), displaced })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Place {
    /// It turns out to be the place of somebody else, for whom a front end speaks (`None`: of the front end itself).
    ///
    /// # Errors
    /// If that address has as many as it may. The place stays what it was.
    pub(super) fn belongs_to(&self, peer: Option<IpAddr>) -> Result<(), Shed> {
        let mut state = lock(&self.state);
        let Some(before) = state.remove(self.id) else { return Ok(()) }; // displaced: it ends anyway
        let network = peer.map(network);
        let admitted = if network == before.network { Ok(()) } else { state.admit(network) };
        let network = if admitted.is_ok() { network } else { before.network };
        state.insert(self.id, Holder { network, ..before });
        admitted
    }

    /// Its login is being decided: nobody takes its place now. `false` if somebody has.
    pub(super) fn decides(&self) -> bool {
        self.stands(Standing::Deciding)
    }

    /// It was not let in.
    pub(super) fn is_idle(&self) {
        self.stands(Standing::Idle);
    }

    /// It is logged in.
    pub(super) fn is_proven(&self) {
        self.stands(Standing::Proven);
    }

    fn stands(&self, standing: Standing) -> bool {
        let mut state = lock(&self.state);
        let Some(before) = state.remove(self.id) else { return false };
        if let (Standing::Proven, Some(network)) = (standing, before.network) {
            state.know(network);
        }
        state.insert(self.id, Holder { standing, ..before });
        true
    }

    /// Waits until the place is another's.
    pub(super) async fn lost(&self) {
        self.displaced.cancelled().await;
    }

    /// Whether the place is another's.
    pub(super) fn is_lost(&self) -> bool {
        self.displaced.is_cancelled()
    }

    /// Whether there is time to be told so.
    pub(super) fn may_be_told(&self) -> bool {
        lock(&self.state).leaving <= LEAVING_MAX
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if state.remove(self.id).is_none() {
            state.leaving -= 1;
        }
    }
}

impl Bounds {
    fn of(options: &Options) -> Self {
        let sessions = options.sessions_max;
        Self {
            sessions,
            unproven: sessions - sessions / 4,
            // However few the places are: half of them are for others.
            unproven_per_address: options.unproven_per_address_max.min(sessions.div_ceil(2)),
            per_address: options.connections_per_address_max,
            grace: options.unproven_grace,
        }
    }
}

impl State {
    /// Whether an address may have one more.
    fn admit(&self, network: Option<IpAddr>) -> Result<(), Shed> {
        let Some(address) = network.and_then(|network| self.addresses.get(&network)) else { return Ok(()) };
        if self.bounds.per_address.is_some_and(|max| address.connections >= max) {
            return Err(Shed::Address);
        }
        if address.unproven >= self.bounds.unproven_per_address {
            return Err(Shed::Unproven);
        }
        Ok(())
    }

    /// Takes the place of somebody where there is none for a newcomer of that sort.
    fn make_room(&mut self, descriptors: usize, newcomer: Sort) -> Result<(), Shed> {
        let unproven_max = match newcomer {
            Sort::Stranger => self.bounds.unproven,
            Sort::Known => self.bounds.sessions,
        };
        let why = if descriptors < DESCRIPTORS_KEPT + self.unproven {
            Shed::Descriptors
        } else if self.holders.len() >= self.bounds.sessions || self.unproven >= unproven_max {
            Shed::Full
        } else {
            return Ok(());
        };
        let of_the_heaviest = self.idle.last().map(|&(Reverse(sort), _, Reverse(oldest))| (sort, oldest));
        let candidates = [of_the_heaviest, self.ages.first().copied()];
        let may_go = |&(sort, id): &(Sort, u64)| {
            let had_its_time = self.holders.get(&id).is_some_and(|it| it.since.elapsed() >= self.bounds.grace);
            had_its_time || sort < newcomer
        };
        let Some((_, gives_way)) = candidates.into_iter().flatten().find(may_go) else { return Err(why) };
        // Where places were made fewer, one that goes makes no room for another yet.
        if self.holders.len() > self.bounds.sessions {
            return Err(why);
        }
        if let Some(holder) = self.remove(gives_way) {
            self.leaving += 1;
            holder.displaced.cancel();
        }
        Ok(())
    }

    fn insert(&mut self, id: u64, holder: Holder) {
        let is_idle = holder.standing == Standing::Idle;
        let is_unproven = holder.standing != Standing::Proven;
        self.unproven += usize::from(is_unproven);
        match holder.network {
            None if is_idle => drop(self.idle.insert((Reverse(Sort::Stranger), 1, Reverse(id)))),
            None => {}
            Some(network) => self.alter(network, |address| {
                address.connections += 1;
                address.unproven += usize::from(is_unproven);
                if is_idle {
                    address.idle.insert(id);
                }
            }),
        }
        if is_idle {
            self.ages.insert((self.sort_of(holder.network), id)); // as its address was put down a line above
        }
        self.holders.insert(id, holder);
    }

    fn remove(&mut self, id: u64) -> Option<Holder> {
        let holder = self.holders.remove(&id)?;
        let is_unproven = holder.standing != Standing::Proven;
        self.unproven -= usize::from(is_unproven);
        self.ages.remove(&(self.sort_of(holder.network), id));
        match holder.network {
            None => drop(self.idle.remove(&(Reverse(Sort::Stranger), 1, Reverse(id)))),
            Some(network) => self.alter(network, |address| {
                address.connections -= 1;
                address.unproven -= usize::from(is_unproven);
                address.idle.remove(&id);
            }),
        }
        Some(holder)
    }

    /// Of which sort an address is. It stays what it is while it has connections, unless somebody logs in.
    fn sort_of(&self, network: Option<IpAddr>) -> Sort {
        let Some(network) = network else { return Sort::Stranger }; // for whom a front end speaks is not known yet
        if let Some(address) = self.addresses.get(&network) {
            return address.sort;
        }
        let is_known = self.known.peek(&network).is_some_and(|since| since.elapsed() < KNOWN_FOR);
        if is_known { Sort::Known } else { Sort::Stranger }
    }

    /// Somebody has logged in from there.
    fn know(&mut self, network: IpAddr) {
        if self.known.len() >= KNOWN_MAX && !self.known.contains(&network) {
            self.known.pop_lru();
        }
        self.known.put(network, Instant::now());
        let Some(others) = self.addresses.get(&network).filter(|it| it.sort == Sort::Stranger) else { return };
        for id in others.idle.clone() {
            self.ages.remove(&(Sort::Stranger, id));
            self.ages.insert((Sort::Known, id));
        }
        self.alter(network, |address| address.sort = Sort::Known);
    }

    /// Changes what is counted of an address, and its rank; one that has nothing left is forgotten.
    fn alter(&mut self, network: IpAddr, change: impl FnOnce(&mut Address)) {
        let sort = self.sort_of(Some(network));
        let new = || Address { sort, connections: 0, unproven: 0, idle: BTreeSet::new() };
        let address = self.addresses.entry(network).or_insert_with(new);
        if let Some(rank) = address.rank() {
            self.idle.remove(&rank);
        }
        change(address);
        match address.rank() {
            Some(rank) => drop(self.idle.insert(rank)),
            None if address.connections == 0 => drop(self.addresses.remove(&network)),
            None => {}
        }
    }
}

impl Address {
    fn rank(&self) -> Option<Rank> {
        self.idle.first().map(|&oldest| (Reverse(self.sort), self.unproven, Reverse(oldest)))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing panics while it holds this lock")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PLENTY: usize = 100_000;

    fn options(sessions_max: usize, unproven_per_address_max: usize) -> Options {
        Options { sessions_max, unproven_per_address_max, unproven_grace: Duration::from_secs(2), ..Options::default() }
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn enter(capacity: &Capacity, last: u8) -> Result<Place, Shed> {
        capacity.enter(address(last), PLENTY)
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_places_without_a_login_and_gets_them_back() {
        let capacity = Capacity::new(&options(100, 2));
        let first = enter(&capacity, 1).unwrap();
        let second = enter(&capacity, 1).unwrap();
        assert_eq!(enter(&capacity, 1).unwrap_err(), Shed::Unproven);
        let _other = enter(&capacity, 2).unwrap();
        second.is_proven();
        let third = enter(&capacity, 1).unwrap();
        assert_eq!(enter(&capacity, 1).unwrap_err(), Shed::Unproven);
        drop(first);
        drop((enter(&capacity, 1).unwrap(), second, third));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_places_in_all() {
        let bounds = Options { connections_per_address_max: Some(2), ..options(100, 50) };
        let capacity = Capacity::new(&bounds);
        let both = [enter(&capacity, 1).unwrap(), enter(&capacity, 1).unwrap()];
        both.iter().for_each(Place::is_proven);
        assert_eq!(enter(&capacity, 1).unwrap_err(), Shed::Address);
        let front_end = capacity.enter(None, PLENTY).unwrap();
        assert_eq!(front_end.belongs_to(address(1)), Err(Shed::Address));
        assert_eq!(front_end.belongs_to(address(2)), Ok(()));
        drop(both);
        assert!(enter(&capacity, 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_the_heaviest_address_gives_way() {
        let capacity = Capacity::new(&options(8, 4));
        let light = enter(&capacity, 1).unwrap();
        let heavy: Vec<_> = (0..3).map(|_| enter(&capacity, 2).unwrap()).collect();
        let others = [enter(&capacity, 3).unwrap(), enter(&capacity, 4).unwrap()];
        assert_eq!(enter(&capacity, 5).unwrap_err(), Shed::Full, "nobody has had its time, and a quarter is kept");
        pass(2).await;
        let newcomer = enter(&capacity, 5).unwrap();
        let is_lost: Vec<bool> = heavy.iter().map(Place::is_lost).collect();
        assert_eq!(is_lost, [true, false, false]);
        assert!(!light.is_lost() && heavy[0].may_be_told());
        // Now two are as heavy as it gets, and it is the one of the two that came first.
        let next = [enter(&capacity, 6).unwrap(), enter(&capacity, 7).unwrap()];
        assert!(heavy[1].is_lost() && light.is_lost() && !heavy[2].is_lost());
        drop((others, newcomer, next));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_address_is_no_shelter_for_silent_ones() {
        let capacity = Capacity::new(&options(8, 4));
        let silent: Vec<_> = (1..=3).map(|last| enter(&capacity, last).unwrap()).collect();
        pass(60).await;
        // All its connections are new, and there are more of them than of any other.
        let busy: Vec<_> = (0..3).map(|_| enter(&capacity, 9).unwrap()).collect();
        let newcomers = [enter(&capacity, 9).unwrap(), enter(&capacity, 10).unwrap()];
        assert!(busy.iter().chain(&newcomers).all(|place| !place.is_lost()));
        let is_lost: Vec<bool> = silent.iter().map(Place::is_lost).collect();
        assert_eq!(is_lost, [true, true, false], "the first two gave way");
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_give_way_to_where_logins_come_from() {
        let capacity = Capacity::new(&options(8, 4));
        enter(&capacity, 1).unwrap().is_proven();
        let strangers: Vec<_> = (2..=7).map(|last| enter(&capacity, last).unwrap()).collect();
        assert_eq!(enter(&capacity, 8).unwrap_err(), Shed::Full, "three quarters are taken");
        let mut known: Vec<_> = (0..2).map(|_| enter(&capacity, 1).unwrap()).collect();
        assert!(strangers.iter().all(|place| !place.is_lost()), "the last quarter was free");
        known.push(enter(&capacity, 1).unwrap());
        assert!(strangers[0].is_lost(), "without its time");
        // A stranger who came to be known is spared, too, and what was there before its login.
        let (waiting, proven) = (&strangers[1], &strangers[2]);
        proven.is_proven();
        waiting.belongs_to(address(4)).unwrap();
        pass(60).await;
        let newcomer = enter(&capacity, 9);
        assert!(newcomer.is_ok() && strangers[3].is_lost(), "the oldest of those that are left");
        assert!(!waiting.is_lost() && known.iter().all(|place| !place.is_lost()));
        pass(24 * 60 * 60).await;
        drop((known, strangers, newcomer));
        assert_eq!(capacity.state().sort_of(address(1)), Sort::Stranger, "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_logged_in_or_about_to_be_keeps_its_place() {
        let capacity = Capacity::new(&options(4, 4));
        let places: Vec<_> = (1..=3).map(|last| enter(&capacity, last).unwrap()).collect();
        assert!(places[0].decides() && places[1].decides());
        places[1].is_proven();
        let fourth = enter(&capacity, 4).unwrap();
        fourth.is_proven();
        pass(60).await;
        let newcomer = enter(&capacity, 5).unwrap();
        assert!(places[2].is_lost() && !places[2].decides(), "it was the only one that could be taken");
        assert_eq!(enter(&capacity, 6).unwrap_err(), Shed::Full, "the newcomer has its time, too");
        assert!(!places[0].is_lost() && !places[1].is_lost() && !fourth.is_lost());
        places[0].is_idle();
        drop(newcomer);
        assert!(enter(&capacity, 6).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn descriptors_are_left_for_those_that_are_in() {
        let capacity = Capacity::new(&options(100, 50));
        let first = capacity.enter(address(1), DESCRIPTORS_KEPT).unwrap();
        assert_eq!(capacity.enter(address(2), DESCRIPTORS_KEPT).unwrap_err(), Shed::Descriptors);
        first.is_proven();
        assert!(capacity.enter(address(2), DESCRIPTORS_KEPT).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_places_are_no_end_for_anybody() {
        let capacity = Capacity::new(&options(4, 4));
        let places: Vec<_> = (1..=3).map(|last| enter(&capacity, last).unwrap()).collect();
        capacity.change(&options(1, 4));
        pass(60).await;
        assert_eq!(enter(&capacity, 5).unwrap_err(), Shed::Full);
        assert!(places.iter().all(|place| !place.is_lost()));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_stays_behind() {
        let capacity = Capacity::new(&options(8, 4));
        let mut places = Vec::new();
        for round in 0..50_u8 {
            places.extend(enter(&capacity, round % 7));
            pass(1).await;
            if let Some(place) = places.get(usize::from(round) / 2) {
                let _ = (place.decides(), place.belongs_to(address(round % 5)));
            }
            if round % 3 == 0 {
                places.swap_remove(0);
            }
        }
        drop(places);
        let state = capacity.state();
        assert!(state.holders.is_empty() && state.addresses.is_empty(), "{state:?}");
        assert!(state.idle.is_empty() && state.ages.is_empty(), "{state:?}");
        assert_eq!((state.unproven, state.leaving), (0, 0));
    }
}
