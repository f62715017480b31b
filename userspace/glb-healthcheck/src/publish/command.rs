// SPDX-License-Identifier: GPL-2.0

//! Running the reload command with a timeout.

use super::PublishError;
use rustix::process::{kill_process_group, Pid, Signal};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a command that was asked to end may take for it.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the command by a shell, as deployed, in a process group of its own, so that what it started ends
/// with it. Its output goes where the daemon's goes.
pub(super) async fn run(command: &str, limit: Duration) -> Result<(), PublishError> {
    let failed = |error| PublishError::Command(format!("/bin/sh: {error}"));
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let group = child.id();
    let ended = timeout(limit, child.wait()).await;
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(PublishError::Command(format!(
            "{command:?}: {}",
            said(status)
        ))),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => {
            stop(child, group).await;
            let seconds = limit.as_secs_f64();
            Err(PublishError::TimedOut(format!(
                "{command:?}: stopped, since it ran for more than {seconds} s"
            )))
        }
    }
}

async fn stop(mut child: Child, group: Option<u32>) {
    let group = group.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = |signal| {
        if let Some(group) = group {
            // An error says that nobody is left, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    };
    signal(Signal::TERM);
    // Until the shell is waited for, its number and its group's are not given to others.
    let _ = timeout(GRACE, child.wait()).await;
    signal(Signal::KILL);
    let _ = child.wait().await;
}

fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(127) => "exit status 127: a command was not found".to_owned(),
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn block_on<T>(future: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn exit_status() {
        let run = |command| block_on(run(command, Duration::from_secs(20)));
        assert_eq!(run("true"), Ok(()));
        let failed = |reason: &str| Err(PublishError::Command(reason.to_owned()));
        assert_eq!(run("exit 3"), failed("\"exit 3\": exit status 3"));
        assert_eq!(
            run("/nowhere/to 2>/dev/null"),
            failed("\"/nowhere/to 2>/dev/null\": exit status 127: a command was not found")
        );
    }

    /// A command that hangs is stopped with all that it started, also what ignores SIGTERM.
    #[test]
    fn a_command_that_hangs_is_stopped() {
        let file =
            std::env::temp_dir().join(format!("glb-healthcheck-hang-{}", std::process::id()));
        let command = format!(
            "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {}; sleep 60; sleep 60' & wait; sleep 60",
            file.display()
        );
        let start = Instant::now();
        let ended = block_on(run(&command, Duration::from_millis(700)));
        assert!(matches!(ended, Err(PublishError::TimedOut(_))), "{ended:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
        let started = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", started.trim()));
        for _ in 0..100 {
            // Gone, or dead and not yet waited for by whoever inherited it.
            match state() {
                Err(_) => return,
                Ok(stat) if stat.contains(") Z ") => return,
                Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("process {started} is still there");
    }
}
