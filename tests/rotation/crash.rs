//! The program is ended at every point of every kind of rotation. At each moment every password that the provider takes is
//! in the record or named there, clients log in, and the same command, run again, comes to the right end.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use locum::model::{Secret, Slots};
use locum::rotation::Point;

use crate::program::Run;
use crate::scene::{MAKE, OLD, SET, Scene};
use crate::stage::address;

/// How long a command is run again that says "not yet".
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// Between two of them.
const AGAIN_EVERY: Duration = Duration::from_millis(200);
/// Cases at once: most of their time is waiting.
const AT_ONCE: usize = 4;

/// A kind of rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// A pasted password that the provider takes.
    Good,
    /// One that it refuses.
    Wrong,
    /// One that it takes once and then no more.
    Broken,
    /// One that the hook makes.
    Made,
    /// One that the hook sets in the place of the only one.
    Set,
    /// The one before is given up and deleted by the hook.
    Retired,
    /// The one before is given up, deleted by hand, and ticked off.
    TickedOff,
    /// The one before is current again.
    RolledBack,
    /// What is staged is given up.
    Discarded,
}

use Flow::{Broken, Discarded, Good, Made, Retired, RolledBack, Set, TickedOff, Wrong};

/// Where each is ended: at the point, the time that it is passed.
const CASES: [(Flow, Point, u32); 38] = [
    (Good, Point::Begun, 1),
    (Good, Point::Staged, 1),
    (Good, Point::SeenAccepted, 1),
    (Good, Point::Verified, 1),
    (Good, Point::Promoted, 1),
    (Wrong, Point::Staged, 1),
    (Wrong, Point::SeenRefused, 1),
    (Wrong, Point::SeenRefused, 2),
    (Wrong, Point::Refused, 1),
    (Wrong, Point::Refused, 2),
    (Wrong, Point::Discarded, 1),
    (Broken, Point::Promoted, 1),
    (Broken, Point::SeenBroken, 1),
    (Broken, Point::RolledBack, 1),
    (Made, Point::Begun, 1),
    (Made, Point::Asked, 1),
    (Made, Point::Answered, 1),
    (Made, Point::Staged, 1),
    (Made, Point::SeenAccepted, 1),
    (Made, Point::Verified, 1),
    (Made, Point::Promoted, 1),
    (Set, Point::Begun, 1),
    (Set, Point::Staged, 1),
    (Set, Point::Applying, 1),
    (Set, Point::Set, 1),
    (Set, Point::Applied, 1),
    (Set, Point::SeenAccepted, 1),
    (Set, Point::Verified, 1),
    (Set, Point::Promoted, 1),
    (Retired, Point::Retired, 1),
    (Retired, Point::Revoked, 1),
    (Retired, Point::Deleted, 1),
    (Retired, Point::Revoked, 2),
    (Retired, Point::Deleted, 2),
    (TickedOff, Point::Retired, 1),
    (TickedOff, Point::Deleted, 1),
    (RolledBack, Point::RolledBack, 1),
    (Discarded, Point::Discarded, 1),
];

#[test]
fn every_point_is_among_the_cases() {
    let ended: HashSet<Point> = CASES.iter().map(|(_, point, _)| *point).collect();
    let missing: Vec<Point> = Point::ALL.into_iter().filter(|point| !ended.contains(point)).collect();
    assert_eq!(missing, []);
}

#[test]
fn no_crash_loses_anything_on_sqlite() {
    all(&Scene::on_sqlite(CASES.len()));
}

#[test]
fn no_crash_loses_anything_on_openbao() {
    all(&Scene::on_openbao(CASES.len()));
}

fn all(scene: &Scene) {
    let cases = Mutex::new(CASES.into_iter().enumerate());
    let next = || cases.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, (flow, point, time))) = next() {
                    Case { scene, number, flow }.ended_at(point, time);
                }
            });
        }
    });
}

struct Case<'s> {
    scene: &'s Scene,
    number: usize,
    flow: Flow,
}

impl Case<'_> {
    fn ended_at(&self, point: Point, time: u32) {
        self.prepare();
        // What an operator has yet to paste is known to them alone.
        let pasted = Some(Secret::new(self.new_password())).filter(|_| matches!(self.flow, Good | Broken));
        self.holds(pasted.as_ref());
        self.command_for(point).run(Some((point, time)));
        self.holds(pasted.as_ref().filter(|_| point == Point::Begun));
        let ended = self.scene.slots(self.number);
        if self.flow == TickedOff {
            // What an operator does in the portal, once told to.
            let name = address(self.number);
            self.scene.stage.provider.sandbox.remove_password(&name, &Secret::new(OLD));
        }
        let deadline = Instant::now() + AGAIN_MAX;
        loop {
            let run = self.run_all();
            self.holds(None);
            let slots = self.scene.slots(self.number);
            if self.is_done(&slots, point) {
                // What is done is not done once more: no way back that goes forward, no other password in its place.
                if matches!(point, Point::Promoted | Point::RolledBack) && self.flow != Broken {
                    assert_eq!((run.code, &slots.current), (Some(0), &ended.current), "{:?} {run:#?}", self.flow);
                    assert_eq!(slots.previous, ended.previous, "{:?} {run:#?}", self.flow);
                }
                break;
            }
            let context = format!("{:?} ended at {point:?}: {run:#?}\n{slots:#?}", self.flow);
            assert_eq!(run.code, Some(75), "{context}");
            assert!(Instant::now() < deadline, "{context}");
            thread::sleep(AGAIN_EVERY);
        }
    }

    /// Clients log in, and nothing is forgotten.
    fn holds(&self, in_hand: Option<&Secret>) {
        self.scene.client_logs_in(self.number);
        self.scene.nothing_is_forgotten(self.number, in_hand);
    }

    fn new_password(&self) -> String {
        format!("newpassword{:05}", self.number)
    }

    /// What there is before.
    fn prepare(&self) {
        let (sandbox, name) = (&self.scene.stage.provider.sandbox, address(self.number));
        let new = Secret::new(self.new_password());
        match self.flow {
            Good => drop(sandbox.add_password(&name, new.clone())),
            Broken => drop(sandbox.add_fleeting_password(&name, new.clone(), 1)),
            Retired => {
                self.scene.overlap(self.number, &self.new_password(), "new");
                self.scene.leave(self.number, "older");
            }
            TickedOff | RolledBack => self.scene.overlap(self.number, &self.new_password(), "new"),
            Discarded => {
                sandbox.add_password(&name, new.clone());
                self.command(&["stage", "--secret-stdin", "--label", "new"]).run(None).succeeded();
            }
            Wrong | Made | Set => {}
        }
        // It is live before the record knows of it: what is made by hand is the operator's to know.
        self.scene.counterpart.name(&name, "new", &new);
    }

    /// The command that passes the point.
    fn command_for(&self, point: Point) -> Command<'_> {
        match (self.flow, point) {
            (TickedOff, Point::Deleted) => {
                self.command(&["retire", "--now", "--yes"]).run(None).succeeded();
                let name = address(self.number);
                self.scene.stage.provider.sandbox.remove_password(&name, &Secret::new(OLD));
                self.command(&["deleted", "scanner"])
            }
            (TickedOff, _) => self.command(&["retire", "--now", "--yes"]),
            (Good | Wrong, _) => self.command(&["run", "--secret-stdin", "--label", "new"]),
            (Broken, _) => self.command(&["run", "--secret-stdin", "--label", "new", "--protocol", "imap"]),
            (Made | Set, _) => self.command(&["run", "--by-hook"]),
            (Retired, _) => self.command(&["retire", "--by-hook", "--now", "--yes"]),
            (RolledBack, _) => self.command(&["rollback"]),
            (Discarded, _) => self.command(&["discard"]),
        }
    }

    /// What the operator types again.
    fn run_all(&self) -> Run {
        let run = self.command_for(Point::Begun).run(None);
        if self.flow == TickedOff && !self.scene.slots(self.number).leftovers.is_empty() {
            return self.command(&["deleted", "scanner"]).run(None);
        }
        run
    }

    fn command<'c>(&'c self, words: &[&str]) -> Command<'c> {
        let (verb, rest) = words.split_first().unwrap();
        let name = address(self.number);
        let words = ["rotate", verb, &name].iter().chain(rest).map(|word| (*word).to_owned()).collect();
        Command { case: self, words }
    }

    /// Whether all is as it has to be in the end.
    fn is_done(&self, slots: &Slots, point: Point) -> bool {
        let secret_of = |stored: &locum::model::StoredCredential| stored.material.part("secret").unwrap().clone();
        let current = secret_of(slots.current.as_ref().unwrap());
        let (old, new) = (Secret::new(OLD), Secret::new(self.new_password()));
        let live = self.scene.stage.provider.sandbox.passwords(&address(self.number));
        let is_alone = slots.next.is_none();
        match self.flow {
            Good => current == new && is_alone && slots.previous.is_some() && slots.leftovers.is_empty(),
            Wrong => current == old && is_alone && slots.previous.is_none() && !slots.leftovers.is_empty(),
            Broken | RolledBack => current == old && is_alone && slots.previous.is_some(),
            Made => {
                let previous = slots.previous.as_ref().map(|previous| secret_of(&previous.credential));
                // Of one that was asked for and never put down it is known by which label to look for it, whether it was
                // made or not.
                let (made, named) = match point {
                    Point::Asked => (2, 1),
                    Point::Answered => (3, 1),
                    _ => (2, 0),
                };
                let all = current != old && live.contains(&current) && live.len() == made;
                all && is_alone && previous == Some(old) && slots.leftovers.len() == named
            }
            Set => {
                let ends = slots.previous.as_ref().is_some_and(|previous| !previous.usable);
                current != old && live == [current] && is_alone && ends && slots.leftovers.is_empty()
            }
            Retired | TickedOff => {
                current == new && live == [current] && slots.previous.is_none() && slots.leftovers.is_empty()
            }
            Discarded => current == old && is_alone && slots.leftovers.len() == 1,
        }
    }
}

struct Command<'c> {
    case: &'c Case<'c>,
    words: Vec<String>,
}

impl Command<'_> {
    fn run(&self, at: Option<(Point, u32)>) -> Run {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let config = match self.case.flow {
            Set => SET,
            _ => MAKE,
        };
        self.case.scene.operator(config, &words, &self.case.new_password(), at)
    }
}
