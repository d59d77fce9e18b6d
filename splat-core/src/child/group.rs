//! Process groups for child processes: a terminal's Ctrl-C does not reach them, and they can be ended with all their descendants.

use std::process::Command;

#[cfg(unix)]
mod system {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    pub(super) fn separate(command: &mut Command) {
        command.process_group(0);
    }

    pub(super) fn terminate(id: u32) {
        signal(id, Signal::TERM);
    }

    pub(super) fn kill(id: u32) {
        signal(id, Signal::KILL);
    }

    pub(super) fn await_end(id: u32) {
        let Some(process) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(process), options), Err(Errno::INTR)) {}
    }

    fn signal(id: u32, signal: Signal) {
        if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            // Fails only if the group has ended already.
            let _ = kill_process_group(group, signal);
        }
    }
}

#[cfg(windows)]
mod system {
    use std::os::windows::process::CommandExt;
    use std::process::{Command, Stdio};

    /// `CREATE_NEW_PROCESS_GROUP`: a console's Ctrl-C reaches only this process.
    const NEW_PROCESS_GROUP: u32 = 0x0000_0200;

    pub(super) fn separate(command: &mut Command) {
        command.creation_flags(NEW_PROCESS_GROUP);
    }

    /// There is no such signal; programs are stopped by the end of their standard input.
    pub(super) fn terminate(_id: u32) {}

    /// A process is identified by its handle, not by its id.
    pub(super) fn await_end(_id: u32) {}

    /// `taskkill` ends a process with all its descendants.
    pub(super) fn kill(id: u32) {
        let mut taskkill = Command::new("taskkill");
        taskkill.args(["/T", "/F", "/PID", &id.to_string()]);
        // Fails only if the process has ended already.
        let _ = taskkill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Starts the program in its own process group.
pub fn separate(command: &mut Command) {
    system::separate(command);
}

/// Requests the group of process `id` to terminate, if the system supports it.
pub fn terminate(id: u32) {
    system::terminate(id);
}

/// Waits until the child process `id` has ended, without reaping it: until it is reaped its id, which is that of its group, is not
/// reused. Returns immediately if the system does not support this. Blocks.
pub fn await_end(id: u32) {
    system::await_end(id);
}

/// Kills the group of process `id`.
pub fn kill(id: u32) {
    system::kill(id);
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_left_to_be_reaped() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        separate(&mut command);
        let mut child = command.spawn().unwrap();
        await_end(child.id());
        // Its id is not reused yet.
        kill(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(7));
        // Nothing to wait for.
        await_end(child.id());
    }
}
