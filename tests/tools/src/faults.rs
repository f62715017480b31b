// SPDX-License-Identifier: GPL-2.0

//! `glb-packets faults`: run a command again and again, each time with the next allocation in the kernel failing.
//!
//! The kernel (CONFIG_FAULT_INJECTION) lets the Nth allocation of a task fail that has N in /proc/PID/fail-nth. Only those of
//! the named system calls count: the command is traced, N is written where such a call begins, and what is left of it is taken
//! back where it ends. So the loading of the program, the reading of its files and the like never fail, and the same N is
//! the same allocation every time. The last run is the first in which N was not reached.
//!
//! A run with a fault may fail, with words on standard error, or may go well (the kernel tries again in another way). It
//! may not die of a signal, hang, or fail without a word.

use anyhow::{bail, Context, Result};
use nix::sys::ptrace;
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Run a command again and again, each time with another allocation of the kernel failing
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// System calls in which allocations fail
    #[arg(long = "in", value_delimiter = ',', default_values_t = SYSCALLS.map(|(name, _)| name.to_owned()))]
    syscalls: Vec<String>,
    /// Only the last so many allocations: those of a module come after those of its loading
    #[arg(long)]
    last: Option<u32>,
    /// A shell command after each run that puts back what the run may have done
    #[arg(long)]
    undo: Option<String>,
    /// A shell command after each run, before --undo, that must succeed
    #[arg(long)]
    check: Option<String>,
    /// How many seconds a run may take
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// The command
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<String>,
}

/// As x86-64 numbers them.
const SYSCALLS: [(&str, u64); 9] = [
    ("sendto", 44),
    ("recvfrom", 45),
    ("sendmsg", 46),
    ("recvmsg", 47),
    ("setsockopt", 54),
    ("getsockopt", 55),
    ("init_module", 175),
    ("unshare", 272),
    ("finit_module", 313),
];

/// No task has so many allocations.
const ENDLESS: u32 = 1 << 30;

/// How a run ended.
struct Outcome {
    /// What is left of N; 0: the fault was made.
    left: u32,
    status: WaitStatus,
    stderr: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut numbers = Vec::new();
    for name in &arguments.syscalls {
        let known = SYSCALLS.iter().find(|(known, _)| known == name);
        numbers.push(
            known
                .with_context(|| format!("--in: no system call {name} is known here"))?
                .1,
        );
    }
    let first = match arguments.last {
        None => 1,
        Some(last) => fewest(arguments, &numbers)?.saturating_sub(last) + 1,
    };
    let (mut failed, mut well, mut wrong) = (0, 0, 0);
    for number in first.. {
        let outcome = traced(arguments, &numbers, number)?;
        let injected = outcome.left == 0;
        let words = outcome.stderr.trim();
        let verdict = match outcome.status {
            WaitStatus::Exited(_, 0) => None,
            WaitStatus::Exited(_, _) if injected && !words.is_empty() => None,
            WaitStatus::Exited(_, status) => Some(format!("status {status}, said: {words:?}")),
            other => Some(format!("{other:?}, said: {words:?}")),
        };
        if let Some(verdict) = verdict {
            println!("allocation {number}: {verdict}");
            wrong += 1;
        }
        if let Some(check) = &arguments.check {
            if !shell(check)? {
                println!("allocation {number}: after it, this fails: {check}");
                wrong += 1;
            }
        }
        undo(arguments)?;
        if !injected {
            break;
        }
        match outcome.status {
            WaitStatus::Exited(_, 0) => well += 1,
            _ => failed += 1,
        }
        if wrong > 5 {
            bail!("too many wrong ends: stopped at allocation {number}");
        }
    }
    println!("{} faults from allocation {first} on: {failed} errors, {well} without effect, {wrong} wrong", failed + well);
    if failed + well == 0 {
        bail!("no fault was made: is the kernel built with CONFIG_FAILSLAB, and does the command make such system calls?");
    }
    if wrong > 0 {
        bail!("{wrong} wrong ends");
    }
    Ok(())
}

/// How many allocations there are. The first run also makes what the kernel keeps for the next ones; so the fewest of some
/// runs count.
fn fewest(arguments: &Arguments, numbers: &[u64]) -> Result<u32> {
    let mut fewest = ENDLESS;
    for _ in 0..3 {
        let whole = traced(arguments, numbers, ENDLESS)?;
        undo(arguments)?;
        fewest = fewest.min(ENDLESS - whole.left);
    }
    Ok(fewest)
}

fn shell(command: &str) -> Result<bool> {
    let status = Command::new("/bin/sh").args(["-c", command]).status()?;
    Ok(status.success())
}

fn undo(arguments: &Arguments) -> Result<()> {
    if let Some(command) = &arguments.undo {
        shell(command)?;
    }
    Ok(())
}

/// One run, with allocation `number` failing.
fn traced(arguments: &Arguments, numbers: &[u64], number: u32) -> Result<Outcome> {
    // The shell waits for a word, so that it can be traced from before the command on.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "read word && exec \"$@\"", "sh"])
        .args(&arguments.command)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let outcome = trace(arguments, numbers, number, &mut child);
    if outcome.is_err() {
        let _ = child.kill();
    }
    outcome
}

fn trace(
    arguments: &Arguments,
    numbers: &[u64],
    number: u32,
    child: &mut Child,
) -> Result<Outcome> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let fail_nth = format!("/proc/{pid}/fail-nth");
    // Not `attach`, whose SIGSTOP may leave the process marked as stopped: its new threads would stop for ever.
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).context("cannot trace the command")?;
    ptrace::interrupt(pid)?;
    waitpid(pid, None)?;
    let mut go = child.stdin.take().context("no pipe")?;
    go.write_all(b"go\n")?;
    drop(go);
    ptrace::syscall(pid, None)?;

    // Whatever the command asks of the kernel is progress.
    let limit = Duration::from_secs(arguments.limit);
    let mut since = Instant::now();
    let (mut left, mut inside, mut counted) = (number, false, false);
    let status = loop {
        let status = waitpid(pid, Some(WaitPidFlag::WNOHANG))?;
        let signal = match status {
            WaitStatus::StillAlive => {
                if since.elapsed() > limit {
                    bail!(
                        "allocation {number}: nothing happened for {} s",
                        arguments.limit
                    );
                }
                // Between two looks.
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            WaitStatus::PtraceSyscall(_) => {
                inside = !inside;
                if inside {
                    counted = left > 0 && numbers.contains(&ptrace::getregs(pid)?.orig_rax);
                    if counted {
                        write_number(&fail_nth, left)?;
                    }
                } else if counted {
                    left = read_number(&fail_nth)?;
                    write_number(&fail_nth, 0)?;
                    counted = false;
                }
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break status,
            _ => None,
        };
        since = Instant::now();
        ptrace::syscall(pid, signal)?;
    };
    let mut stderr = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr)?;
    }
    Ok(Outcome {
        left,
        status,
        stderr,
    })
}

fn write_number(path: &str, number: u32) -> Result<()> {
    std::fs::write(path, number.to_string())
        .with_context(|| format!("{path}: the kernel needs CONFIG_FAULT_INJECTION"))
}

fn read_number(path: &str) -> Result<u32> {
    let text = std::fs::read_to_string(path)?;
    text.trim()
        .parse()
        .with_context(|| format!("{path}: {text}"))
}
