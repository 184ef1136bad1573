//! A hook that does its work and never answers: a second operator is told, the first is killed, and whoever comes after the
//! fence goes on with the same credential.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use locum::model::NextState;

use crate::scene::{MAKE_SLOWLY, SET_SLOWLY, SLOW, Scene};
use crate::stage::address;

/// How long anything is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn whoever_is_killed_while_the_hook_works_leaves_nothing_that_is_lost() {
    let scene = &Scene::on_sqlite(2);
    thread::scope(|scope| {
        scope.spawn(|| hung(scene, 0, MAKE_SLOWLY, "is having one made by a command that has until"));
        scope.spawn(|| hung(scene, 1, SET_SLOWLY, "it is being set at the provider by a command that has until"));
    });
}

fn hung(scene: &Scene, number: usize, config: &str, told: &str) {
    let name = address(number);
    let words = ["rotate", "run", &name, "--by-hook"];
    let holds = || {
        scene.client_logs_in(number);
        scene.nothing_is_forgotten(number, None);
    };
    scene.counterpart.mute(&name, true);
    let mut first = scene.stage.command(&["--config", config, words[0], words[1], words[2], words[3]]).spawn().unwrap();
    wait_until("the hook is asked", || scene.counterpart.asked(&name) == 1);
    holds();

    scene.operator(config, &words, "", None).ended(75).said(told);
    assert_eq!(scene.counterpart.asked(&name), 1, "the second operator's hook did not run");

    first.kill().unwrap();
    first.wait().unwrap();
    holds();
    scene.operator(config, &words, "", None).ended(75).said(told);
    if let Some(NextState::Applying { until }) = scene.slots(number).next.map(|next| next.state) {
        let deadline = Timestamp::from_second(scene.counterpart.deadline(&name)).unwrap();
        let margin = Duration::try_from(until.duration_since(deadline)).unwrap();
        assert!(margin >= SLOW, "what is left behind has given up {margin:?} before anybody else begins");
    }

    scene.counterpart.mute(&name, false);
    wait_until("the fence is over", || match scene.operator(config, &words, "", None).code {
        Some(0) => true,
        Some(75) => false,
        code => panic!("{code:?}"),
    });
    holds();
    let slots = scene.slots(number);
    let secret = slots.current.unwrap().material.part("secret").unwrap().clone();
    let live = scene.stage.provider.sandbox.passwords(&name);
    assert!(live.contains(&secret) && slots.next.is_none());
    // Where one is made each time, that of the first is named: it is there, and its answer never came.
    let left = usize::from(config == MAKE_SLOWLY);
    assert_eq!((slots.leftovers.len(), live.len()), (left, 1 + 2 * left));
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(100)); // between two looks
    }
}
