//! Cores, CPU time and memory, as Linux tells them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// One core for what is measured, the others for everything else; the same core for both where there is only one.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    /// For a gateway or a floor, alone.
    pub(crate) measured: CpuSet,
    /// For load, provider and servers.
    pub(crate) rest: CpuSet,
}

impl Cores {
    /// Of those that this process may use: the first one is measured.
    pub(crate) fn split() -> Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0))?;
        let mut of_all = (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false)).peekable();
        let (mut measured, mut rest) = (CpuSet::new(), CpuSet::new());
        measured.set(of_all.next().context("a core")?)?;
        if of_all.peek().is_none() {
            return Ok(Self { measured, rest: measured });
        }
        of_all.try_for_each(|core| rest.set(core))?;
        Ok(Self { measured, rest })
    }

    /// Those that were given are measured; the rest are the machine's others, or the same if there are none.
    pub(crate) fn given() -> Result<Self> {
        let given = sched_getaffinity(Pid::from_raw(0))?;
        let (mut rest, mut any) = (CpuSet::new(), false);
        for core in 0..std::fs::read_to_string("/proc/stat")?.lines().filter(|line| is_core(line)).count() {
            if !given.is_set(core)? {
                rest.set(core)?;
                any = true;
            }
        }
        Ok(Self { measured: given, rest: if any { rest } else { given } })
    }

    /// Does something on the measured cores: what it starts sees those only. This thread goes back to the rest.
    pub(crate) fn on_measured<T>(&self, begin: impl FnOnce() -> Result<T>) -> Result<T> {
        pin_this(&self.measured)?;
        let begun = begin();
        pin_this(&self.rest)?;
        begun
    }
}

/// `cpu0 …`, not the sum `cpu  …`.
fn is_core(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// This thread, and whatever it starts, runs there.
pub(crate) fn pin_this(cores: &CpuSet) -> Result<()> {
    Ok(sched_setaffinity(Pid::from_raw(0), cores)?)
}

/// All threads of a process run there.
pub(crate) fn pin(pid: u32, cores: &CpuSet) -> Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(thread), cores)?;
    }
    Ok(())
}

/// What a process has used, user and system.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = stat(pid).with_context(|| format!("process {pid} is gone"))?;
    ticks(stat.own)
}

/// What those processes have used, with all that they started.
pub(crate) fn cpu_time_of_trees(roots: &[u32]) -> Result<Duration> {
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        // Whoever has ended meanwhile is counted by its parent.
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = stat(pid)
        {
            all.insert(pid, stat);
        }
    }
    let mut wanted: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|(pid, stat)| wanted.contains(&stat.parent) && !wanted.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        wanted.extend(more);
    }
    ticks(all.iter().filter(|(pid, _)| wanted.contains(pid)).map(|(_, stat)| stat.own + stat.ended_children).sum())
}

/// Resident memory, bytes.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

struct Stat {
    parent: u32,
    /// Clock ticks.
    own: u64,
    ended_children: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may have spaces: state, parent, …; times are fields 14 to 17 of proc_pid_stat(5).
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        ended_children: number(16)? + number(17)?,
    })
}

fn ticks(ticks: u64) -> Result<Duration> {
    let a_second = sysconf(SysconfVar::CLK_TCK)?.context("clock ticks")?;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}
