//! Programs in process groups of their own, so that a terminal's Ctrl-C does not reach them and they end with all that they
//! started.

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
            // It fails when the group has ended, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

#[cfg(windows)]
mod system {
    use std::os::windows::process::CommandExt;
    use std::process::{Command, Stdio};

    /// `CREATE_NEW_PROCESS_GROUP`: a console's Ctrl-C reaches only us.
    const NEW_PROCESS_GROUP: u32 = 0x0000_0200;

    pub(super) fn separate(command: &mut Command) {
        command.creation_flags(NEW_PROCESS_GROUP);
    }

    /// There is no such signal; the end of its input is what stops a program in order.
    pub(super) fn terminate(_id: u32) {}

    /// A process is known by its handle there, not by its number.
    pub(super) fn await_end(_id: u32) {}

    /// Windows' own tool ends a process with all that descends from it.
    pub(super) fn kill(id: u32) {
        let mut taskkill = Command::new("taskkill");
        taskkill.args(["/T", "/F", "/PID", &id.to_string()]);
        // It fails when the process has ended, which is what is wanted.
        let _ = taskkill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Has the program start a group of its own.
pub fn separate(command: &mut Command) {
    system::separate(command);
}

/// Asks the group of the process `id` to end, where the system has a way to ask.
pub fn terminate(id: u32) {
    system::terminate(id);
}

/// Waits until the child process `id` has ended, and leaves it to be reaped: until then its number, which is that of its group, is not
/// given to another. Returns at once where that cannot be done. Blocks.
pub fn await_end(id: u32) {
    system::await_end(id);
}

/// Ends the group of the process `id` at once.
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
        // Its number is its own still.
        kill(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(7));
        // Nothing to wait for.
        await_end(child.id());
    }
}
