//! What is looked for is found, once, in pages, whatever else is in the files.

use std::fs;

use super::*;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(closed: &str, written: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(scene.folder.path().join("audit-20260101T000000Z-5.jsonl"), closed).unwrap();
        fs::write(scene.path(), written).unwrap();
        scene
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn search(&self, wanted: &Wanted) -> Vec<u64> {
        let found = search(&self.path(), wanted, None, 1000).unwrap();
        assert_eq!(found.next, None);
        found.lines.iter().map(|line| line["n"].as_u64().unwrap()).collect()
    }
}

fn line(n: u64, more: &str) -> String {
    format!("{{\"n\":{n},\"time\":\"2026-01-01T00:{:02}:00Z\"{more}}}\n", n % 60)
}

#[test]
fn the_latest_come_first_in_pages_over_files() {
    let lines = |range: std::ops::Range<u64>| range.map(|n| line(n, "")).collect::<String>();
    let scene = Scene::new(&lines(0..500), &lines(500..1200));
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let found = search(&scene.path(), &Wanted::default(), after.as_deref(), 7).unwrap();
        assert!(found.lines.len() <= 7);
        all.extend(found.lines.iter().map(|line| line["n"].as_u64().unwrap()));
        // Closed while somebody turns pages: the cursor still holds.
        if all.len() == 70 {
            fs::rename(scene.path(), scene.folder.path().join("audit-20260101T000001Z-1200.jsonl")).unwrap();
            fs::write(scene.path(), line(1200, "")).unwrap();
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, (0..1200).rev().collect::<Vec<_>>());
}

#[test]
fn all_that_is_named_must_be_so() {
    let scene = Scene::new(
        &line(1, r#","event":"decision","login":"Scan","outcome":"deny","peer":"192.0.2.1""#),
        &(line(2, r#","event":"decision","login":"scan","outcome":"allow","account":"A@x.test""#)
            + &line(3, r#","event":"rotation","subject":"a@X.test""#)
            + &line(4, r#","event":"decision","login":"scanner""#)),
    );
    let text = |text: &str| Some(text.to_owned());
    let wanted = Wanted::default();
    assert_eq!(scene.search(&wanted), [4, 3, 2, 1]);
    assert_eq!(scene.search(&Wanted { login: text("SCAN"), ..wanted.clone() }), [2, 1]);
    assert_eq!(scene.search(&Wanted { login: text("scan"), outcome: text("deny"), ..wanted.clone() }), [1]);
    assert_eq!(scene.search(&Wanted { account: text("a@x.test"), ..wanted.clone() }), [3, 2]);
    assert_eq!(scene.search(&Wanted { peer: "192.0.2.1".parse().ok(), ..wanted.clone() }), [1]);
    let at = |minute: u32| format!("2026-01-01T00:0{minute}:00Z").parse().ok();
    assert_eq!(scene.search(&Wanted { since: at(2), until: at(4), ..wanted.clone() }), [3, 2]);
    let later = "2026-01-01T02:00:00Z".parse().ok();
    assert_eq!(scene.search(&Wanted { since: later, ..wanted }), [0; 0]);
}

#[test]
fn what_is_no_line_is_counted_and_held_by_nobody() {
    let long = format!("{{\"n\":9,\"x\":\"{}\"}}\n", "x".repeat(40 << 20));
    let scene = Scene::new(&(line(1, "") + &long), &(line(2, "") + "{\"half\":\n\n\u{0}\n" + &line(3, "") + "{\"n\""));
    let first = search(&scene.path(), &Wanted::default(), None, 1000).unwrap();
    let found: Vec<_> = first.lines.iter().map(|line| line["n"].as_u64().unwrap()).collect();
    assert_eq!(found, [3, 2]);
    assert!(first.unreadable >= 4, "{}", first.unreadable);
    let rest = search(&scene.path(), &Wanted::default(), first.next.as_deref(), 1000).unwrap();
    assert_eq!(rest.lines[0]["n"], 1, "behind the long one");
    assert_eq!(rest.next, None);
}

#[test]
fn a_cursor_of_another_file_is_none() {
    let scene = Scene::new("", &line(1, ""));
    for cursor in ["", "x", "1", "1-", "fffffff-1", "-1", "1-1-1"] {
        let found = search(&scene.path(), &Wanted::default(), Some(cursor), 1);
        assert!(matches!(found, Err(SearchError::Cursor)), "{cursor}");
    }
}
