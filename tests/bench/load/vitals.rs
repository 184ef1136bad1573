//! How the process fares: what the system says of it to anybody, and what it says of itself at `/metrics`.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// From look to look at memory and processor time, which cost next to nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// From one to the next at `/metrics`, which is work for who is watched.
const ASK_INTERVAL: Duration = Duration::from_millis(1000);
/// An answer that takes longer is none.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// `USER_HZ`, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: u64 = 100;

/// What the system says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    /// Resident memory, in bytes; and of it what is no file.
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    pub(crate) threads: u64,
    /// Processor time so far.
    pub(crate) busy: Duration,
}

/// What it says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) at: Instant,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
    pub(crate) sessions: u64,
}

#[derive(Default)]
struct Seen {
    looks: Vec<Look>,
    gauges: Vec<Gauges>,
    unanswered: Vec<Instant>,
    over: bool,
}

/// A process that is watched until this is dropped.
pub(crate) struct Vitals {
    pid: u32,
    admin: u16,
    seen: Arc<Mutex<Seen>>,
    watching: Vec<JoinHandle<()>>,
}

impl Vitals {
    /// Of that process, whose admin listener is at that port.
    pub(crate) fn watch(pid: u32, admin: u16) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let of_system = Arc::clone(&seen);
        let looking = thread::spawn(move || {
            while !of_system.lock().unwrap().over {
                if let Some(look) = Look::at(pid) {
                    of_system.lock().unwrap().looks.push(look);
                }
                thread::sleep(LOOK_INTERVAL);
            }
        });
        let of_itself = Arc::clone(&seen);
        let asking = thread::spawn(move || {
            while !of_itself.lock().unwrap().over {
                let began = Instant::now();
                let gauges = Gauges::ask(admin);
                {
                    let mut seen = of_itself.lock().unwrap();
                    match gauges {
                        Ok(gauges) => seen.gauges.push(gauges),
                        Err(_) => seen.unanswered.push(began),
                    }
                }
                thread::sleep(ASK_INTERVAL.saturating_sub(began.elapsed()));
            }
        });
        Self { pid, admin, seen, watching: vec![looking, asking] }
    }

    /// How it is now.
    pub(crate) fn now(&self) -> (Look, Gauges) {
        (Look::at(self.pid).unwrap(), Gauges::ask(self.admin).unwrap())
    }

    /// Waits until it says so of itself, or for so long; what it said last.
    pub(crate) fn wait(&self, time: Duration, is_enough: impl Fn(&Gauges) -> bool) -> Option<Gauges> {
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < time {
            last = Gauges::ask(self.admin).ok().or(last);
            if last.as_ref().is_some_and(&is_enough) {
                return last;
            }
            thread::sleep(LOOK_INTERVAL); // between two looks
        }
        last
    }

    /// The most resident memory that was seen between these, in bytes.
    pub(crate) fn peak(&self, from: Instant, to: Instant) -> u64 {
        let seen = self.seen.lock().unwrap();
        seen.looks.iter().filter(|it| (from..to).contains(&it.at)).map(|it| it.resident).max().unwrap_or_default()
    }

    /// The most descriptors, and the most sessions.
    pub(crate) fn most(&self, from: Instant, to: Instant) -> (u64, u64) {
        let seen = self.seen.lock().unwrap();
        let among = || seen.gauges.iter().filter(|it| (from..to).contains(&it.at));
        let most = |of: fn(&Gauges) -> u64| among().map(of).max().unwrap_or_default();
        (most(|it| it.descriptors), most(|it| it.sessions))
    }

    /// Times that `/metrics` did not answer.
    pub(crate) fn unanswered(&self, from: Instant, to: Instant) -> usize {
        self.seen.lock().unwrap().unanswered.iter().copied().filter(|it| (from..to).contains(it)).count()
    }

    /// Of one core, so many percent between these.
    pub(crate) fn load(&self, from: Instant, to: Instant) -> f64 {
        let seen = self.seen.lock().unwrap();
        let within: Vec<_> = seen.looks.iter().filter(|it| (from..to).contains(&it.at)).collect();
        let (Some(first), Some(last)) = (within.first(), within.last()) else { return 0.0 };
        let time = last.at.duration_since(first.at).as_secs_f64();
        if time > 0.0 { 100.0 * (last.busy - first.busy).as_secs_f64() / time } else { 0.0 }
    }

    /// All that was seen since.
    pub(crate) fn since(&self, from: Instant) -> (Vec<Look>, Vec<Gauges>) {
        let seen = self.seen.lock().unwrap();
        let looks = seen.looks.iter().filter(|it| it.at >= from).copied().collect();
        (looks, seen.gauges.iter().filter(|it| it.at >= from).copied().collect())
    }
}

impl Drop for Vitals {
    fn drop(&mut self) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.over = true;
        }
        for watching in self.watching.drain(..) {
            let _ = watching.join(); // one that panicked has said so
        }
    }
}

impl Look {
    /// `None` if there is no such process any more.
    fn at(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let number = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may have blanks: the 14th and 15th of all are the times in user and kernel mode.
        let (_, rest) = stat.rsplit_once(')')?;
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum::<u64>();
        Some(Self {
            at: Instant::now(),
            resident: number("VmRSS:")? * 1024,
            anonymous: number("RssAnon:")? * 1024,
            threads: number("Threads:")?,
            busy: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
        })
    }
}

impl Gauges {
    fn ask(admin: u16) -> io::Result<Self> {
        let text = http(admin, "/metrics")?;
        let sum = |name: &str| {
            let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
            let values = text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
            values.sum::<f64>() as u64
        };
        let (descriptors, tasks) = (sum("process_open_fds"), sum("locum_tasks"));
        Ok(Self { at: Instant::now(), descriptors, tasks, sessions: sum("locum_sessions") })
    }
}

/// The body that the admin listener answers with.
pub(crate) fn http(admin: u16, path: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, admin));
    let mut socket = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    if head.contains(" 200 ") { Ok(body.to_owned()) } else { Err(io::Error::other(head.to_owned())) }
}
