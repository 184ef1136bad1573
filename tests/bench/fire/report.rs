//! What is said of each attack, and what is wrong with it.

use crate::Act;
use crate::figures::{Rows, short};
use crate::load::{Tally, Vitals};

/// What attackers must never see.
const BREACHES: &[&str] = &["LET IN", "done behind the handshake", "all taken"];

/// Of the logins before an attack so many go on, at the least, in percent: the attackers have one core of this machine, and
/// clients and providers share what is left with Locum.
const GOES_ON_PERCENT: f64 = 50.0;

const HEAD: &[&str] = &[
    "",
    "logins a second: before, during, after",
    "median (99 %) in ms: before, during, after",
    "failed",
    "memory, MiB: before, most, after",
    "descriptors: before, most, after",
    "of a core",
    "what attackers did and saw",
];

/// The table, and what must not be.
pub(crate) fn write(acts: &[Act], tally: &Tally, vitals: &Vitals) -> (Rows, Vec<String>) {
    let (mut rows, mut complaints) = (Rows::under(HEAD), Vec::new());
    for act in acts {
        let phases = [(act.began, act.attacked), (act.attacked, act.ended), (act.settled, act.over)];
        let phases = phases.map(|(from, to)| tally.phase(from, to));
        let rates = phases.each_ref().map(|it| short(it.rate));
        let times = phases.each_ref().map(|it| match it.times {
            None => "-".to_owned(),
            Some(times) => {
                let [median, most] = times.map(|it| short(it.as_secs_f64() * 1e3));
                format!("{median} ({most})")
            }
        });
        // From its beginning to its end, the time in which Locum came to itself included.
        let whole = tally.phase(act.began, act.over);
        let mebi = |bytes: u64| short(bytes as f64 / f64::from(1 << 20));
        let memory = [act.resident[0], vitals.peak(act.attacked, act.ended), act.resident[1]].map(mebi);
        let (most, _) = vitals.most(act.attacked, act.ended);
        let seen = act.seen.iter().map(|(what, count)| format!("{what}: {count}")).collect::<Vec<_>>().join("; ");
        rows.put(vec![
            act.name.to_owned(),
            rates.join(", "),
            times.join(", "),
            whole.failed().to_string(),
            memory.join(", "),
            [act.descriptors[0], most, act.descriptors[1]].map(|it| it.to_string()).join(", "),
            format!("{} %", short(vitals.load(act.attacked, act.ended))),
            seen,
        ]);
        let name = act.name;
        complaints.extend(whole.failures.iter().map(|(why, count)| format!("{name}: {count} times {why}")));
        if phases[1].rate * 100.0 < phases[0].rate * GOES_ON_PERCENT {
            complaints.push(format!("{name}: {} logins a second in place of {}", rates[1], rates[0]));
        }
        let breaches = act.seen.keys().filter(|it| BREACHES.contains(&it.as_str()));
        complaints.extend(breaches.map(|it| format!("{name}: the attackers were {it}")));
        if act.descriptors[1] > act.descriptors[0] + 4 * crate::CLIENTS as u64 {
            complaints.push(format!("{name}: descriptors do not come back"));
        }
        let unanswered = vitals.unanswered(act.attacked, act.ended);
        if unanswered > 0 {
            complaints.push(format!("{name}: /metrics did not answer {unanswered} times"));
        }
    }
    (rows, complaints)
}
