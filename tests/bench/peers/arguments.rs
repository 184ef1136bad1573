//! What stands behind `--`.

use std::env;

use crate::measure::Measure;
use crate::subject::Subject;

/// Rounds where nothing else is said.
const ROUNDS: usize = 3;

/// What is wanted.
pub(crate) struct Arguments {
    pub(crate) measures: Vec<Measure>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) rounds: usize,
    /// Whether the subject and what measures it have a core each.
    pub(crate) pinned: bool,
}

const USAGE: &str = "cargo bench --bench peers -- [MEASURE...] [--rounds N] [--subjects NAME,NAME] [--cores 1|2]";

impl Arguments {
    /// Those of this process, or what is wrong with them.
    pub(crate) fn read() -> Result<Self, String> {
        let mut read = Self { measures: Vec::new(), subjects: Subject::USUAL.to_vec(), rounds: ROUNDS, pinned: true };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value; {USAGE}"));
            match argument.as_str() {
                "--bench" => {} // cargo says so to each
                "--rounds" => read.rounds = value()?.parse().map_err(|_| format!("--rounds is a number; {USAGE}"))?,
                "--cores" => read.pinned = value()? == "1",
                "--subjects" => {
                    let subject = |name: &str| {
                        let names = Subject::ALL.map(Subject::name).join(", ");
                        let found = Subject::ALL.into_iter().find(|it| it.name() == name);
                        found.ok_or(format!("there is no subject {name}; there are {names}"))
                    };
                    read.subjects = value()?.split(',').map(subject).collect::<Result<_, _>>()?;
                }
                name => {
                    let names = Measure::ALL.map(Measure::name).join(", ");
                    let found = Measure::ALL.into_iter().find(|it| it.name() == name);
                    read.measures.push(found.ok_or(format!("there is no measure {name}; there are {names}; {USAGE}"))?);
                }
            }
        }
        if read.measures.is_empty() {
            read.measures = Measure::ALL.to_vec();
        }
        Ok(read)
    }
}
