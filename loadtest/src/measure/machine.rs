//! The machine under everything.

use crate::outcome::Machine;

/// How busy all cores have been since the machine came up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    /// Seconds of CPU, those stolen by the host included.
    pub(super) secs: f64,
    pub(super) stolen_secs: f64,
}

/// What kind of machine it is; what is not known is left empty. CPU is for
/// [`Watch::end`](super::Watch::end) to tell.
pub fn describe() -> Machine {
    Machine { cores: cores(), ..known() }
}

#[cfg(not(target_os = "linux"))]
fn known() -> Machine {
    Machine::default()
}

/// The cores of the machine. This program may be bound to fewer.
#[cfg(target_os = "linux")]
fn cores() -> u32 {
    use procfs::{CurrentSI, KernelStats};

    let cores = KernelStats::current().map_or(1, |stats| stats.cpu_time.len());
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(not(target_os = "linux"))]
fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(target_os = "linux")]
fn known() -> Machine {
    use procfs::{CpuInfo, Current, Meminfo};

    let cpu = CpuInfo::current().ok();
    let cpu = cpu.and_then(|cpu| Some(cpu.model_name(0)?.to_owned()));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Machine {
        cpu: cpu.unwrap_or_default(),
        memory_bytes: Meminfo::current().map(|memory| memory.mem_total).unwrap_or_default(),
        kernel: kernel.trim().to_owned(),
        ..Machine::default()
    }
}
