//! Ends the process at a chosen point of a rotation, for the tests that prove that nothing is lost then. A release build
//! cannot: there is nothing in it that reads the variable.

#[cfg(not(debug_assertions))]
use crate::rotation::{Unwatched, Witness};

/// Who is told of each point: in a debug build one that ends the process where the environment says.
#[cfg(not(debug_assertions))]
pub(in crate::cli) fn witness() -> std::sync::Arc<dyn Witness> {
    std::sync::Arc::new(Unwatched)
}

#[cfg(debug_assertions)]
pub(in crate::cli) use self::debug::witness;

#[cfg(debug_assertions)]
mod debug {
    use std::env;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::cli::output;
    use crate::rotation::{Point, Unwatched, Witness};

    /// `point` or `point:n`, for the n-th time that it is passed.
    const VARIABLE: &str = "LOCUM_CRASH_AT";

    #[derive(Debug, PartialEq, Eq)]
    struct At {
        point: Point,
        time: u32,
    }

    #[derive(Debug)]
    struct Crash {
        at: At,
        passed: AtomicU32,
    }

    impl Witness for Crash {
        #[expect(clippy::disallowed_methods, reason = "it is to end as in a crash, with nothing put in order")]
        fn passed(&self, point: Point) {
            if point == self.at.point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.at.time {
                std::process::abort();
            }
        }
    }

    /// Ends the process where the environment says.
    pub(in crate::cli) fn witness() -> Arc<dyn Witness> {
        let Ok(text) = env::var(VARIABLE) else { return Arc::new(Unwatched) };
        match parse(&text) {
            Some(at) => Arc::new(Crash { at, passed: AtomicU32::new(0) }),
            None => {
                output::note(format!("locum: {VARIABLE} names no point of a rotation: nothing is ended"));
                Arc::new(Unwatched)
            }
        }
    }

    fn parse(text: &str) -> Option<At> {
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
        let time = time.parse().ok().filter(|time| *time > 0)?;
        Some(At { point, time })
    }

    #[cfg(test)]
    mod tests {
        use std::collections::HashSet;

        use super::*;

        #[test]
        fn every_point_can_be_named_and_no_two_alike() {
            let names: HashSet<&str> = Point::ALL.into_iter().map(Point::name).collect();
            assert_eq!(names.len(), Point::ALL.len());
            for point in Point::ALL {
                assert_eq!(parse(point.name()), Some(At { point, time: 1 }));
            }
            assert_eq!(parse("staged:3"), Some(At { point: Point::Staged, time: 3 }));
            for text in ["", "stage", "staged:", "staged:0", "staged:x", ":1"] {
                assert_eq!(parse(text), None, "{text}");
            }
        }
    }
}
