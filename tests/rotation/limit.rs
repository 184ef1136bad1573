//! A provider that has as many passwords as it allows: a command is not asked for one more.

use crate::scene::{MAKE, Scene};
use crate::stage::address;

/// The settings in which the provider allows so many.
const FULL: &str = "full.toml";

#[test]
fn the_hook_is_asked_for_none_that_there_is_no_room_for() {
    let scene = Scene::on_sqlite(1);
    let config =
        scene.stage.home.read(MAKE).replace("[upstream.exchange]\n", "[upstream.exchange]\napp-passwords-max = 40\n");
    scene.stage.home.write(FULL, &config);
    let name = address(0);
    let by_hook = ["rotate", "run", &name, "--by-hook"];
    scene.operator(FULL, &["rotate", "count", &name, "40"], "", None).ended(0);
    scene.operator(FULL, &by_hook, "", None).ended(73).said("allows 40 app passwords and has 40");
    assert_eq!((scene.counterpart.asked(&name), scene.slots(0).leftovers), (0, Vec::new()));
    scene.client_logs_in(0);
    scene.operator(FULL, &["rotate", "count", &name, "39"], "", None).ended(0);
    scene.operator(FULL, &by_hook, "", None).ended(0);
    assert_eq!(scene.counterpart.asked(&name), 1);
    // Typed again by somebody who is not sure that it was done.
    scene.operator(FULL, &by_hook, "", None).ended(0).said("became current a moment ago; nothing is done");
    assert_eq!(scene.counterpart.asked(&name), 1);
}
