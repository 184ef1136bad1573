//! Every order of steps that two workers, an operator and the clock can take, with a crash after each: a search through
//! all states of one record and one provider. In none of them may the provider take only what no login would try, or
//! something that the record neither holds nor names.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use locum::credential;
use locum::model::{AppPasswordFormat, LeftoverReason, NextState, Secret, Slots, StoredCredential};
use locum::rotation::machine::{self, Actor, Done, Promotion, Staging, StepError, Unstaged};

/// The clock moves by this. A grace is three of these, the time that a command has is one, and its claim two.
const TICK: Duration = Duration::from_secs(60);

/// How often the clock moves: often enough for a grace to end.
const TICKS_MAX: u8 = 4;

/// What the provider is like, and how its passwords are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    /// Takes many. A person makes them in a portal.
    ManyByHand,
    /// Takes many. A command makes them.
    ManyByCommand,
    /// Takes one. A command sets it.
    One,
}

/// A process that carries out one rotation. What it has in memory is gone after a crash, and it begins anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
enum Worker {
    #[default]
    Begun,
    /// The command is running.
    Asking,
    /// The command has answered with this.
    Answered(String),
    Staged,
    /// The command that sets it is running, by a right that ends then.
    Setting(u8),
    /// It has come to its end and done it, by a right that ended then.
    Set(u8),
    Verifying,
    Finished,
}

/// All there is.
#[derive(Debug, Clone)]
struct World {
    kind: Kind,
    ticks: u8,
    slots: Slots,
    /// What the provider takes.
    alive: BTreeSet<String>,
    /// What was made by a command, and the operation that asked for it.
    made: BTreeMap<String, String>,
    /// Commands that go on though nobody waits for them: what they will set, and until when they may.
    orphans: BTreeSet<(String, u8)>,
    workers: [Worker; 2],
    /// How often each has begun: each time is an operation of its own where a command makes the password.
    begun: [u8; 2],
}

fn at(ticks: u8) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::try_from(TICK * u32::from(ticks)).unwrap()
}

fn ticks(at: Timestamp) -> u8 {
    u8::try_from(at.as_second() / TICK.as_secs() as i64).unwrap()
}

fn credential_of(id: &str) -> StoredCredential {
    let secret = Secret::new(format!("secret-of-{id}"));
    let mut made =
        credential::new_app_password(&secret, AppPasswordFormat::Verbatim, id.to_owned(), id, Timestamp::UNIX_EPOCH)
            .unwrap();
    made.verified = None;
    made
}

impl World {
    fn new(kind: Kind) -> Self {
        let mut first = credential_of("a");
        first.verified = Some(at(0));
        Self {
            kind,
            ticks: 0,
            slots: Slots::of(first),
            alive: BTreeSet::from(["a".to_owned()]),
            made: BTreeMap::new(),
            orphans: BTreeSet::new(),
            workers: Default::default(),
            begun: [0; 2],
        }
    }

    /// What distinguishes it. The history, and when a thing was put down, are for people.
    fn key(&self) -> String {
        let mut slots = self.slots.clone();
        slots.history.clear();
        for left in &mut slots.leftovers {
            left.since = at(0);
            left.until = left.until.filter(|until| *until > at(self.ticks));
        }
        slots.leftovers.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(next) = &mut slots.next {
            next.since = at(0);
            (next.credential.verified, next.credential.retries) = (None, 0);
            if let Some(refused) = &mut next.refused {
                refused.at = at(0);
            }
            if let NextState::Failed { at: failed, .. } = &mut next.state {
                *failed = at(0);
            }
        }
        if let Some(previous) = &mut slots.previous {
            (previous.since, previous.credential.verified, previous.credential.retries) = (at(0), None, 0);
        }
        if let Some(current) = &mut slots.current {
            (current.verified, current.retries) = (current.verified.map(|_| at(0)), 0);
        }
        let slots = serde_json::to_string(&slots).unwrap();
        format!(
            "{} {slots} {:?} {:?} {:?} {:?} {:?}",
            self.ticks, self.alive, self.made, self.orphans, self.workers, self.begun
        )
    }

    /// What must never be.
    fn check(&self) -> Result<(), String> {
        let usable: Vec<&str> = self.slots.usable(at(self.ticks)).map(|(_, stored)| stored.id.as_str()).collect();
        if !usable.iter().any(|id| self.alive.contains(*id)) {
            return Err(format!("no login: it would try {usable:?}, the provider takes {:?}", self.alive));
        }
        for id in &self.alive {
            let placed = [&self.slots.current].into_iter().flatten().map(|stored| &stored.id);
            let placed = placed.chain(self.slots.next.iter().map(|next| &next.credential.id));
            let placed = placed.chain(self.slots.previous.iter().map(|previous| &previous.credential.id));
            let op = self.made.get(id);
            let named = |left: &&locum::model::Leftover| left.id == *id || Some(&left.id) == op;
            let is_in_hand = self.workers.contains(&Worker::Answered(id.clone())) && op.is_none();
            if !is_in_hand
                && !placed.into_iter().any(|it| it == id)
                && self.slots.leftovers.iter().all(|it| !named(&it))
            {
                return Err(format!("{id} is alive at the provider and forgotten here"));
            }
        }
        Ok(())
    }

    /// Every world that one step makes of this one, each with what was done.
    fn steps(&self) -> Vec<(String, Self)> {
        let mut found = Vec::new();
        for who in 0..2 {
            self.worker(who, &mut found);
            if self.workers[who] != Worker::Begun && self.workers[who] != Worker::Finished {
                let mut crashed = self.clone();
                // Its command does not notice that nobody waits for it. It has half the time of the claim.
                crashed.orphans.extend(self.command_of(who));
                crashed.workers[who] = Worker::Begun;
                found.push((format!("worker {who} crashes"), crashed));
            }
        }
        for orphan in &self.orphans {
            let mut set = self.clone();
            set.orphans.remove(orphan);
            set.has_done(&orphan.0);
            found.push((format!("a command that nobody waits for makes {}", orphan.0), set));
        }
        self.operator(&mut found);
        if self.ticks < TICKS_MAX {
            let mut later = self.clone();
            later.ticks += 1;
            later.orphans.retain(|(_, until)| *until > later.ticks);
            // A worker kills its command in time.
            for who in 0..2 {
                let Some((_, until)) = self.command_of(who) else { continue };
                if until <= later.ticks {
                    later.workers[who] = Worker::Begun;
                    later.has_given_up(&self.name_of(who), until + 1);
                }
            }
            found.push(("time passes".to_owned(), later));
        }
        found
    }

    /// The command that a worker waits for: what it makes, and until when it may. It has half the time of the claim.
    fn command_of(&self, who: usize) -> Option<(String, u8)> {
        let name = self.name_of(who);
        let until = match self.workers[who] {
            Worker::Asking => ticks(self.slots.leftovers.iter().find(|left| left.id == name)?.until?),
            Worker::Setting(until) => until,
            _ => return None,
        };
        Some((name, until - 1))
    }

    /// A worker has killed its command, and puts down that whether it was done is not known.
    fn has_given_up(&mut self, name: &str, until: u8) {
        let actor = Actor { by: "x", at: at(self.ticks) };
        let put_down = match self.kind {
            Kind::ManyByCommand => machine::answered_not(&mut self.slots, name, at(until), Unstaged::Perhaps, actor),
            Kind::One => machine::not_applied(&mut self.slots, name, at(until), false, actor),
            Kind::ManyByHand => Ok(Done::Before),
        };
        drop(put_down); // what it is about may be gone
    }

    /// A command has come to its end.
    fn has_done(&mut self, id: &str) {
        match self.kind {
            Kind::One => self.alive = BTreeSet::from([id.to_owned()]),
            Kind::ManyByCommand | Kind::ManyByHand => {
                self.alive.insert(id.to_owned());
                self.made.insert(id.to_owned(), id.to_owned());
            }
        }
    }

    /// What the operation of that worker stages.
    fn name_of(&self, who: usize) -> String {
        let base = ["b", "c"][who];
        match (self.kind, &self.workers[who]) {
            (Kind::ManyByCommand, Worker::Begun) => format!("{base}{}", self.begun[who] + 1),
            (Kind::ManyByCommand, _) => format!("{base}{}", self.begun[who]),
            (Kind::ManyByHand | Kind::One, _) => base.to_owned(),
        }
    }

    /// A step on the record, as that worker or as the operator.
    fn take(&self, step: impl FnOnce(&mut Slots, Actor<'_>) -> Result<Done, StepError>) -> Result<Self, StepError> {
        let mut taken = self.clone();
        step(&mut taken.slots, Actor { by: "x", at: at(self.ticks) })?;
        Ok(taken)
    }

    fn with(mut self, who: usize, worker: Worker) -> Self {
        self.workers[who] = worker;
        self
    }

    /// What the operation of that worker would stage.
    fn worker(&self, who: usize, found: &mut Vec<(String, Self)>) {
        let name = self.name_of(who);
        let name = name.as_str();
        let mut push = |what: &str, world: Result<Self, StepError>| {
            if let Ok(world) = world {
                found.push((format!("worker {who} {what}"), world));
            }
        };
        let own = self.slots.next.as_ref().filter(|next| next.op == name);
        let stage = |world: &Self, id: &str| {
            let (credential, op) = (credential_of(id), name.to_owned());
            let staging = Staging { credential, op, replaces: self.kind == Kind::One };
            world.take(|slots, actor| machine::stage(slots, staging, actor))
        };
        match (&self.workers[who], self.kind) {
            (Worker::Begun, _) if own.is_some() => push("goes on", Ok(self.clone().with(who, Worker::Staged))),
            (Worker::Begun, Kind::ManyByHand) => {
                // The person made it before, and has it still.
                let mut made = self.clone();
                made.alive.insert(name.to_owned());
                push("stages", stage(&made, name).map(|world| world.with(who, Worker::Staged)));
            }
            (Worker::Begun, Kind::One) => push("stages", stage(self, name).map(|it| it.with(who, Worker::Staged))),
            (Worker::Begun, Kind::ManyByCommand) if self.begun[who] < [2, 1][who] => {
                let until = at(self.ticks + 2);
                let asked = self.take(|slots, actor| machine::ask(slots, name, name, until, actor));
                push(
                    "asks",
                    asked.map(|mut world| {
                        world.begun[who] += 1;
                        world.with(who, Worker::Asking)
                    }),
                );
            }
            (Worker::Begun, Kind::ManyByCommand) => {}
            (Worker::Asking, _) => {
                let mut answered = self.clone();
                answered.has_done(name);
                let until = self.slots.leftovers.iter().find(|left| left.id == name).and_then(|left| left.until);
                let none = |slots: &mut Slots, actor: Actor<'_>| {
                    machine::answered_not(slots, name, until.unwrap_or(at(0)), Unstaged::None, actor)
                };
                push("is told that none is made", self.take(none).map(|world| world.with(who, Worker::Begun)));
                push("is answered", Ok(answered.with(who, Worker::Answered(name.to_owned()))));
            }
            (Worker::Answered(id), _) => push("stages", stage(self, id).map(|it| it.with(who, Worker::Staged))),
            (Worker::Staged, Kind::One) => {
                let until = at(self.ticks + 2);
                let applied = self.take(|slots, actor| machine::apply(slots, name, until, actor));
                let next =
                    if matches!(self.slots.next.as_ref().map(|next| &next.state), Some(NextState::Applied { .. })) {
                        Worker::Verifying
                    } else {
                        Worker::Setting(self.ticks + 2)
                    };
                push("takes the right to set it", applied.map(|world| world.with(who, next)));
            }
            (Worker::Staged, _) => push("verifies", Ok(self.clone().with(who, Worker::Verifying))),
            (Worker::Setting(until), _) => {
                let mut set = self.clone();
                set.has_done(name);
                push("has it set", Ok(set.with(who, Worker::Set(*until))));
                let in_doubt =
                    |slots: &mut Slots, actor: Actor<'_>| machine::not_applied(slots, name, at(*until), false, actor);
                push("is told that it failed", self.take(in_doubt).map(|world| world.with(who, Worker::Begun)));
            }
            (Worker::Set(until), _) => {
                let applied = self.take(|slots, actor| machine::applied(slots, name, at(*until), actor));
                push("puts down that it is set", applied.map(|world| world.with(who, Worker::Verifying)));
            }
            (Worker::Verifying, _) => {
                let Some(id) = own.map(|next| next.credential.id.clone()) else { return };
                if self.alive.contains(&id) {
                    let verified = self.take(|slots, actor| machine::verified(slots, &id, actor));
                    push("verifies", verified.clone());
                    let how = Promotion { id: &id, grace: TICK * 3, verified_within: Some(TICK) };
                    let promoted = verified.and_then(|it| it.take(|slots, actor| machine::promote(slots, how, actor)));
                    push("promotes", promoted.map(|world| world.with(who, Worker::Finished)));
                } else {
                    push("is refused", self.take(|slots, actor| machine::refused(slots, &id, "no", actor)));
                }
            }
            (Worker::Finished, _) => {}
        }
    }

    /// What an operator may do at any time, rightly or not.
    fn operator(&self, found: &mut Vec<(String, Self)>) {
        let mut push = |what: &str, world: Result<Self, StepError>| {
            if let Ok(world) = world {
                found.push((format!("the operator {what}"), world));
            }
        };
        if let Some(id) = self.slots.previous.as_ref().map(|previous| previous.credential.id.clone()) {
            push("retires", self.take(|slots, actor| machine::retire(slots, &id, false, actor)));
        }
        if let Some(id) = self.slots.next.as_ref().map(|next| next.credential.id.clone()) {
            push("discards", self.take(|slots, actor| machine::discard(slots, &id, None, actor)));
        }
        push("lets it be tried again", self.try_again());
        // Nobody rolls back to what the provider does not take: the runner looks first.
        let previous = self.slots.previous.as_ref().map(|previous| previous.credential.id.clone());
        if let Some(id) = previous.filter(|id| self.alive.contains(id)) {
            let back = self.take(|slots, actor| machine::roll_back(slots, &id, "so", TICK * 3, actor));
            push("rolls back", back);
        }
        for left in &self.slots.leftovers {
            let ticked = self.take(|slots, actor| machine::deleted(slots, &left.id, actor));
            push(
                "deletes at the provider",
                ticked.map(|mut world| {
                    let is_meant = |id: &String| *id == left.id || world.made.get(id) == Some(&left.id);
                    // Of what was asked for, whatever bears the label; but not what came to be used after all.
                    let used: Vec<String> = [&world.slots.current]
                        .into_iter()
                        .flatten()
                        .map(|stored| stored.id.clone())
                        .chain(world.slots.next.iter().map(|next| next.credential.id.clone()))
                        .chain(world.slots.previous.iter().map(|previous| previous.credential.id.clone()))
                        .collect();
                    let gone: Vec<String> =
                        world.alive.iter().filter(|id| is_meant(id) && !used.contains(id)).cloned().collect();
                    world.alive.retain(|id| !gone.contains(id));
                    world
                }),
            );
        }
    }

    fn try_again(&self) -> Result<Self, StepError> {
        // More of it leads to nothing new.
        if self.slots.current.as_ref().is_some_and(|current| current.retries > 0) {
            return Err(StepError::NoCurrent);
        }
        self.take(machine::try_again)
    }
}

/// Visits every state, and complains with the way that leads to the first bad one.
fn search(kind: Kind) -> (usize, usize) {
    let first = World::new(kind);
    let mut ways: HashMap<String, Option<(String, String)>> = HashMap::from([(first.key(), None)]);
    let mut waiting = VecDeque::from([first]);
    let mut ends = 0;
    while let Some(world) = waiting.pop_front() {
        if let Err(why) = world.check() {
            let mut way = Vec::new();
            let mut key = world.key();
            while let Some(Some((before, what))) = ways.get(&key) {
                way.push(what.clone());
                key.clone_from(before);
            }
            way.reverse();
            panic!("{kind:?}: {why}\n{}\n{world:#?}", way.join("\n"));
        }
        let key = world.key();
        ends += usize::from(world.slots.leftovers.iter().any(|left| left.why == LeftoverReason::Retired));
        for (what, next) in world.steps() {
            if let Entry::Vacant(unseen) = ways.entry(next.key()) {
                unseen.insert(Some((key.clone(), what)));
                waiting.push_back(next);
            }
        }
    }
    (ways.len(), ends)
}

#[test]
fn app_passwords_that_people_make_are_never_lost() {
    let (states, ends) = search(Kind::ManyByHand);
    assert!(states > 1_000 && ends > 100, "the search saw {states} states, {ends} of them with one retired");
}

#[test]
fn app_passwords_that_a_command_makes_are_never_lost() {
    let (states, ends) = search(Kind::ManyByCommand);
    assert!(states > 1_000 && ends > 100, "the search saw {states} states, {ends} of them with one retired");
}

#[test]
fn the_only_password_is_never_lost() {
    let (states, _) = search(Kind::One);
    assert!(states > 1_000, "the search saw {states} states");
}
