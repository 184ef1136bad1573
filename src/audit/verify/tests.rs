//! Whoever changes, drops, moves or adds a line is found out, and told where.

use std::fs;

use super::*;

/// Two files with five lines each.
struct Scene {
    folder: tempfile::TempDir,
    lines: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let (mut link, mut lines) = (Link::origin(), Vec::new());
        for at in 0..10 {
            let (line, next) = link.next_line("r", &format!("{{\"event\":\"end\",\"at\":{at}}}"));
            link = next;
            lines.push(line);
        }
        Self { folder: tempfile::tempdir().unwrap(), lines }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn closed(&self) -> PathBuf {
        self.folder.path().join("audit-20260101T000000Z-5.jsonl")
    }

    /// What is found once the lines are these, the first five of the original in the closed file.
    fn verify(&self, lines: &[String], first: usize) -> Report {
        fs::write(self.closed(), lines[..first].concat()).unwrap();
        fs::write(self.path(), lines[first..].concat()).unwrap();
        verify(&self.path(), &[], &[]).unwrap()
    }

    fn ended(&self) -> Vec<String> {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn at(report: &Report) -> (String, u64, What) {
    let broken = report.broken.as_ref().unwrap();
    (broken.file.file_name().unwrap().to_string_lossy().into_owned(), broken.line, broken.what)
}

const CLOSED: &str = "audit-20260101T000000Z-5.jsonl";

#[test]
fn what_is_whole_is_found_whole() {
    let scene = Scene::new();
    let report = scene.verify(&scene.ended(), 5);
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.first_seq, report.last_seq, report.files.len()), (Some(1), Some(10), 2));
    let anchor = Anchor { seq: 10, hash: report.last_hash.unwrap() };
    assert!(verify(&scene.path(), &[], &[anchor]).unwrap().ok);
    // Old files may be gone.
    fs::remove_file(scene.closed()).unwrap();
    let rest = verify(&scene.path(), &[], &[]).unwrap();
    assert_eq!((rest.ok, rest.first_seq), (true, Some(6)));
}

#[test]
fn each_line_that_is_changed_is_named() {
    let scene = Scene::new();
    for line in 0..9 {
        let mut lines = scene.ended();
        lines[line] = lines[line].replace("\"event\":\"end\"", "\"event\":\"eNd\"");
        let (file, line) = if line < 5 { (CLOSED, line + 1) } else { ("audit.jsonl", line - 4) };
        assert_eq!(at(&scene.verify(&lines, 5)), (file.to_owned(), line as u64, What::Changed));
    }
}

#[test]
fn each_line_that_is_taken_out_is_missed_also_at_the_end_of_a_closed_file() {
    let scene = Scene::new();
    for gone in 1..9 {
        let mut lines = scene.ended();
        lines.remove(gone);
        let report = scene.verify(&lines, if gone < 5 { 4 } else { 5 });
        assert_eq!(at(&report).2, What::Missing, "{gone}: {report:#?}");
        let expected = if gone < 4 { (CLOSED, gone + 1) } else { ("audit.jsonl", gone.saturating_sub(5) + 1) };
        assert_eq!((at(&report).0.as_str(), at(&report).1), (expected.0, expected.1 as u64), "{gone}");
    }
}

#[test]
fn lines_that_are_swapped_or_doubled_are_out_of_order() {
    let scene = Scene::new();
    for one in 0..9 {
        let mut lines = scene.ended();
        lines.swap(one, one + 1);
        let what = at(&scene.verify(&lines, 5)).2;
        // Where the very first lines are swapped, the file begins with the second as if the first were in another one.
        assert_eq!(what, What::OutOfOrder, "{one}");
        let mut lines = scene.ended();
        lines.insert(one, lines[one].clone());
        assert_eq!(at(&scene.verify(&lines, 5)).2, What::OutOfOrder, "{one}");
    }
}

#[test]
fn what_is_cut_off_the_end_shows_by_an_anchor_alone() {
    let scene = Scene::new();
    let anchor = Anchor { seq: 10, hash: super::super::chain::hash(scene.lines[9].as_bytes()) };
    let report = scene.verify(&scene.ended()[..8], 5);
    assert!(report.ok);
    let report = verify(&scene.path(), &[], std::slice::from_ref(&anchor)).unwrap();
    assert_eq!(at(&report), ("audit.jsonl".to_owned(), 3, What::CutOff));
    // The last line, changed: no line behind it tells.
    let mut lines = scene.ended();
    lines[9] = lines[9].replace("end", "eNd");
    assert!(scene.verify(&lines, 5).ok);
    assert_eq!(at(&verify(&scene.path(), &[], &[anchor]).unwrap()).2, What::Changed);
}

#[test]
fn foreign_lines_and_half_ones_are_told_apart() {
    let scene = Scene::new();
    for (added, what) in [
        ("{\"event\":\"end\"}\n", What::Foreign),
        ("{\"event\":\"e\n", What::HalfLine),
        ("\n", What::HalfLine),
        ("\u{0}\n", What::HalfLine),
    ] {
        let mut lines = scene.ended();
        lines.insert(7, added.to_owned());
        assert_eq!(at(&scene.verify(&lines, 5)), ("audit.jsonl".to_owned(), 3, what), "{added:?}");
    }
    let mut lines = scene.ended();
    lines[9].truncate(20);
    assert_eq!(at(&scene.verify(&lines, 5)), ("audit.jsonl".to_owned(), 5, What::HalfLine));
}

#[test]
fn a_line_of_any_length_is_read_in_bounds() {
    let scene = Scene::new();
    let mut lines = scene.ended();
    lines.insert(7, format!("{{\"seq\":8,\"prev\":\"{}\"}}\n", "x".repeat(3 << 20)));
    assert_eq!(at(&scene.verify(&lines, 5)).1, 3);
}

#[test]
fn anchors_are_what_is_told() {
    let hash = "a".repeat(64);
    assert_eq!(format!("7:{hash}").parse(), Ok(Anchor { seq: 7, hash: hash.clone() }));
    for wrong in ["", "7", "7:", "0:", &format!("x:{hash}"), &format!("7:{hash}a"), &format!("0:{hash}")] {
        assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
    }
}
