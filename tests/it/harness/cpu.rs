//! The processor time that others have spent, from `/proc`.

use std::time::Duration;

/// A tick of the times in `/proc`: 10 ms on every Linux that runs this.
const TICK: Duration = Duration::from_millis(10);

/// That of a process.
pub fn of_process(pid: u32) -> Duration {
    in_stat(&format!("/proc/{pid}/stat"))
}

/// That of the thread that asks.
pub fn of_this_thread() -> Duration {
    in_stat("/proc/thread-self/stat")
}

fn in_stat(path: &str) -> Duration {
    let stat = std::fs::read_to_string(path).unwrap();
    // After the name, which may hold blanks; user and system time are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    TICK * (fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap())
}
