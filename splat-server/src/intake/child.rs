//! Child processes of their own group, that end with their whole group.

use std::process::Stdio;
use std::time::Duration;

use splat_colmap::process_group;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Variables that a program needs to start; all others, keys and passwords among them, stay here.
const PASSED_ON: [&str; 8] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "SystemRoot", "windir", "TEMP", "TMP"];
/// Most bytes of a child's output that are kept.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// A running child. Dropping it ends its whole group.
#[derive(Debug)]
pub(super) struct Running(Child);

/// What a child left.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
}

impl Running {
    /// Starts `command` in a group of its own, with no input and almost no environment.
    pub(super) fn start(command: &mut Command) -> std::io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .env_clear();
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        process_group::separate(command.as_std_mut());
        command.spawn().map(Self)
    }

    /// Waits for its end and gives what it wrote; `None` after `limit`, when it has been ended.
    pub(super) async fn finish(mut self, limit: Duration) -> std::io::Result<Option<Done>> {
        let stdout = self.0.stdout.take();
        let work = async {
            let output = read_some(stdout).await?;
            let status = self.0.wait().await?;
            Ok::<_, std::io::Error>(Done { success: status.success(), stdout: output })
        };
        tokio::time::timeout(limit, work).await.ok().transpose()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // No id: it has ended and was waited for, and the id may belong to another process by now.
        if let Some(id) = self.0.id() {
            process_group::kill(id);
        }
    }
}

async fn read_some(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(MAX_OUTPUT_BYTES).read_to_end(&mut kept).await?;
        // The rest is read all the same, so that the child does not wait for a reader.
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
        let done =
            Running::start(&mut shell(&script)).unwrap().finish(Duration::from_millis(300)).await.unwrap();
        assert!(done.is_none());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!mark.exists(), "a grandchild outlived its group");
    }

    #[tokio::test]
    async fn a_child_sees_no_secrets_and_cannot_flood_memory() {
        let mut command = shell("env; head -c 3000000 /dev/zero");
        command.env("SECRET_KEY", "x");
        let done =
            Running::start(&mut command).unwrap().finish(Duration::from_secs(20)).await.unwrap().unwrap();
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
