//! What becomes of the file: by one process, by several, and by those who meddle with it.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::audit::verify;

const EVENT: &str = r#"{"time":"2026-01-01T00:00:00Z","event":"end"}"#;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn journal(&self, options: Options) -> Journal {
        Journal::new(&options, self.path(), "test".to_owned())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Whether all is well, with the number of the last line.
    #[track_caller]
    fn is_whole(&self, last: u64) {
        let report = verify(&self.path(), &[], &[]).unwrap();
        assert!(report.ok, "{report:#?}");
        assert_eq!(report.last_seq, Some(last));
    }
}

#[test]
fn several_processes_write_one_chain() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.journal(Options::default()), scene.journal(Options::default()));
    for _ in 0..3 {
        one.append(&[EVENT, EVENT]).unwrap();
        other.append(&[EVENT]).unwrap();
    }
    scene.is_whole(9);
    assert_eq!(scene.path().metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_file_that_is_full_is_closed_and_the_chain_goes_on_in_the_next() {
    let scene = Scene::new();
    let options = Options { max_size: Some(300), keep: Some(2), ..Options::default() };
    let (mut one, mut other) = (scene.journal(options.clone()), scene.journal(options.clone()));
    let mut closed = 0;
    for _ in 0..8 {
        closed += usize::from(one.append(&[EVENT]).unwrap().is_some());
        closed += usize::from(other.append(&[EVENT]).unwrap().is_some());
    }
    assert!(closed > 2);
    assert_eq!(files::closed(&scene.path()).unwrap().len(), 2, "two are kept");
    scene.is_whole(16);
    // A process that begins where only closed files are goes on behind these.
    fs::rename(scene.path(), files::closed_name(&scene.path(), Timestamp::now(), 16)).unwrap();
    scene.journal(options).append(&[EVENT]).unwrap();
    scene.is_whole(17);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let scene = Scene::new();
    let mut journal = scene.journal(Options::default());
    journal.append(&[EVENT]).unwrap();
    fs::rename(scene.path(), scene.folder.path().join("audit.jsonl.1")).unwrap();
    journal.append(&[EVENT]).unwrap();
    assert!(scene.text().starts_with("{\"seq\":2,"), "{}", scene.text());
    let both = [scene.path(), scene.folder.path().join("audit.jsonl.1")];
    assert!(verify(&scene.path(), &both, &[]).unwrap().ok, "in whatever order they are named");
}

#[test]
fn half_a_line_is_accounted_for() {
    let scene = Scene::new();
    scene.journal(Options::default()).append(&[EVENT]).unwrap();
    fs::write(scene.path(), scene.text() + "{\"seq\":2,\"pre").unwrap();
    assert_eq!(verify(&scene.path(), &[], &[]).unwrap().broken.unwrap().what, super::super::What::HalfLine);
    scene.journal(Options::default()).append(&[EVENT]).unwrap();
    scene.is_whole(3);
    assert_eq!(verify(&scene.path(), &[], &[]).unwrap().mended.len(), 1);
    assert!(scene.text().contains("\"event\":\"mended\",\"bytes\":13"), "{}", scene.text());
    // What accounts for another half line accounts for none.
    fs::write(scene.path(), scene.text().replace("\"pre\n", "\"prf\n")).unwrap();
    assert!(!verify(&scene.path(), &[], &[]).unwrap().ok);
}

#[test]
fn a_file_of_before_goes_on_with_a_chain() {
    let scene = Scene::new();
    fs::write(scene.path(), format!("{EVENT}\n{EVENT}\n{{\"half")).unwrap();
    scene.journal(Options::default()).append(&[EVENT]).unwrap();
    let report = verify(&scene.path(), &[], &[]).unwrap();
    assert!(report.ok, "{report:#?}");
    assert_eq!((report.not_chained, report.first_seq, report.last_seq), (3, Some(1), Some(2)));
}

#[test]
fn who_cuts_the_file_while_it_is_written_is_found_out() {
    let scene = Scene::new();
    let mut journal = scene.journal(Options::default());
    journal.append(&[EVENT; 3]).unwrap();
    let first = scene.text().lines().next().unwrap().to_owned();
    fs::write(scene.path(), first + "\n").unwrap();
    journal.append(&[EVENT]).unwrap();
    let broken = verify(&scene.path(), &[], &[]).unwrap().broken.unwrap();
    assert_eq!((broken.what, broken.line), (super::super::What::Missing, 2), "{broken:?}");
}

#[test]
fn a_reader_that_keeps_the_lock_is_waited_for_in_bounds() {
    let scene = Scene::new();
    let mut journal = scene.journal(Options::default());
    journal.append(&[EVENT]).unwrap();
    let reader = File::open(scene.path()).unwrap();
    reader.lock_shared().unwrap();
    assert!(journal.append(&[EVENT]).unwrap_err().to_string().contains("locked"));
    drop(reader);
    journal.append(&[EVENT]).unwrap();
    scene.is_whole(2);
}

#[test]
fn a_pipe_is_written_to_without_locks() {
    let mut journal = Journal::new(&Options::default(), "/dev/null".into(), "test".to_owned());
    journal.append(&[EVENT]).unwrap();
    journal.append(&[EVENT]).unwrap();
    assert_eq!(journal.last().seq, 2);
}

#[test]
fn a_full_disk_is_an_error_and_no_half_line() {
    let mut journal = Journal::new(&Options::default(), "/dev/full".into(), "test".to_owned());
    journal.append(&[EVENT]).unwrap_err();
    assert_eq!(journal.last().seq, 0);
}

#[test]
fn periods_begin_with_the_calendar() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let time = at("2026-11-25T13:14:15Z"); // a Wednesday
    for (rotate, begin) in [
        (Rotate::Hourly, "2026-11-25T13:00:00Z"),
        (Rotate::Daily, "2026-11-25T00:00:00Z"),
        (Rotate::Weekly, "2026-11-23T00:00:00Z"),
        (Rotate::Monthly, "2026-11-01T00:00:00Z"),
    ] {
        assert_eq!(period(rotate, time), Some(at(begin)));
    }
    assert_eq!(period(Rotate::Never, time), None);
}

#[test]
fn a_file_whose_day_is_over_is_closed() {
    let scene = Scene::new();
    let mut journal = scene.journal(Options { rotate: Rotate::Daily, ..Options::default() });
    journal.append(&[EVENT]).unwrap();
    // Its first line is of another day: so says the next process that looks.
    let closed = scene.journal(Options { rotate: Rotate::Daily, ..Options::default() }).append(&[EVENT]).unwrap();
    assert_eq!(closed.unwrap().last.seq, 1);
    scene.is_whole(2);
}
