//! Child processes that this service waits for. Each runs in its own process group, which is killed with it, and gets only
//! the environment variables that it needs: no key and no password.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use splat_core::child::{Environment, group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Maximum output of a child that [`output`] keeps, in bytes.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;
/// How long a process may take to end once it has closed its output.
const EXIT_WITHIN: Duration = Duration::from_secs(15);

/// A running child. Dropping it ends its whole group.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Process id of the child, which is also the id of the group.
    group: Option<u32>,
}

/// Result of a finished child.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) success: bool,
    pub(crate) stdout: Vec<u8>,
}

impl Running {
    /// Starts `command` in a new process group with these environment variables.
    pub(crate) fn start(command: &mut Command, environment: Environment) -> io::Result<Self> {
        command.kill_on_drop(true).env_clear().envs(environment.variables());
        group::separate(command.as_std_mut());
        let child = command.spawn()?;
        Ok(Self { group: child.id(), child })
    }

    /// Takes the child's piped stdin, stdout and stderr; `None` for those that are not piped or already taken.
    pub(crate) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Sends SIGTERM to the group, on systems that have it.
    pub(crate) fn terminate(&self) {
        self.group.into_iter().for_each(group::terminate);
    }

    /// Kills the group.
    pub(crate) fn kill(&mut self) {
        self.group.into_iter().for_each(group::kill);
        // This fails only if the process has already ended.
        let _ = self.child.start_kill();
    }

    /// Waits for the process to end, then kills what is left of the group. A process that closes its output and is still running
    /// after [`EXIT_WITHIN`] is killed.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(group) = self.group {
            // The rest of the group is killed before the first process is reaped: after that its id may be reused.
            let ended = tokio::task::spawn_blocking(move || group::await_end(group));
            let _ = tokio::time::timeout(EXIT_WITHIN, ended).await;
            group::kill(group);
        }
        self.child.wait().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without an id the process has been reaped, and the id may belong to another process by now.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

/// Runs a program without input and with a minimal environment. Returns its output, or `None` if it was killed after `limit`.
pub(crate) async fn output(command: &mut Command, limit: Duration) -> io::Result<Option<Done>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(command, Environment::Minimal)?;
    let (_, stdout, _) = running.pipes();
    let work = async {
        let stdout = read_some(stdout).await?;
        let status = running.child.wait().await?;
        Ok::<_, io::Error>(Done { success: status.success(), stdout })
    };
    tokio::time::timeout(limit, work).await.ok().transpose()
}

async fn read_some(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(MAX_OUTPUT_BYTES).read_to_end(&mut kept).await?;
        // The rest is read and discarded, so that the child does not block on a full pipe.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_child_past_its_time_ends_with_its_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 2; touch {}) & wait", mark.display());
        let done = output(&mut shell(&script), Duration::from_millis(300)).await.unwrap();
        assert!(done.is_none());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!mark.exists(), "a grandchild outlived its group");
    }

    #[tokio::test]
    async fn a_child_sees_no_secrets_and_cannot_flood_memory() {
        let mut command = shell("env; head -c 3000000 /dev/zero");
        command.env("SECRET_KEY", "x");
        let done = output(&mut command, Duration::from_secs(20)).await.unwrap().unwrap();
        assert!(done.success);
        assert_eq!(done.stdout.len() as u64, MAX_OUTPUT_BYTES);
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(
            text.contains("PATH=") && !text.contains("SECRET") && !text.contains("HOME="),
            "{}",
            &text[..200]
        );
    }
}
