//! A running `splat serve`, and requests to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{ImageFormat, RgbImage};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Time limit for every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A service process, which is ended on drop.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
    options: Vec<String>,
    key: Option<String>,
}

impl Service {
    /// In test mode, on its own port.
    pub(crate) fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (child, url) = spawn(dir.path(), &options);
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { child, url, client: Client::new(), dir, options, key: None }
    }

    /// The same data folder, a new process.
    pub(crate) fn restart(&mut self) {
        // Both fail if a test already killed it, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.url) = spawn(self.dir.path(), &self.options);
    }

    /// Replaces the options; takes effect at the next start.
    pub(crate) fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// Adds options; takes effect at the next start.
    pub(crate) fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends TERM and waits for the exit.
    pub(crate) fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "the service does not stop when asked");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends `STOP` or `CONT` to the service but not to its jobs.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Sends `STOP` or `CONT` to the process groups of its jobs.
    #[cfg(target_os = "linux")]
    pub(crate) fn signal_jobs(&self, signal: rustix::process::Signal) {
        let jobs = jobs_of(self.child.id());
        assert!(!jobs.is_empty(), "no job has a process");
        for job in jobs {
            rustix::process::kill_process_group(job, signal).unwrap();
        }
    }

    /// Uses this key from now on.
    pub(crate) fn with_key(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url)).timeout(PATIENCE);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request("GET", path).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// Submits a scene of `photos` photos; `test` is the option of test mode.
    pub(crate) async fn submit(&self, photos: usize, test: Value) -> Value {
        let form = form(photos).text("test", test.to_string());
        let response = self.request("POST", "/v1/jobs").multipart(form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Waits until the job satisfies `until`, and returns it.
    pub(crate) async fn job_when(&self, id: &str, until: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let job = self.json(&format!("/v1/jobs/{id}")).await;
            if until(&job) {
                return job;
            }
            assert!(begun.elapsed() < PATIENCE, "still {job:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the end of the job, and returns it.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.job_when(id, |job| !matches!(state(job), "queued" | "running")).await
    }
}

/// The processes that a service or worker started.
#[cfg(target_os = "linux")]
pub(crate) fn jobs_of(parent: u32) -> Vec<rustix::process::Pid> {
    let of = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            (of(&stat) == Some(parent)).then(|| rustix::process::Pid::from_raw(pid)).flatten()
        })
        .collect()
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails if the service has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn splat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splat"));
    command.env("NODEVICE_SELECT", "1").env_remove("SPLAT_CONFIG");
    command
}

fn spawn(dir: &Path, options: &[String]) -> (Child, String) {
    let mut command = splat();
    command.args([
        "serve",
        "--json",
        "--bind",
        "127.0.0.1:0",
        "--test-mode",
        "--disk-floor-mib",
        "1",
        "--data-dir",
    ]);
    command.arg(dir).args(options).stdout(Stdio::piped()).stderr(Stdio::inherit()).env("SPLAT_LOG", "error");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: Value =
        serde_json::from_str(&lines.next().expect("the service says where it listens").unwrap()).unwrap();
    (child, line["url"].as_str().unwrap().to_owned())
}

/// `count` photos, all different.
pub(crate) fn form(count: usize) -> Form {
    (1..=count).fold(Form::new(), |form, number| {
        let part = Part::bytes(photo(number as u32)).file_name(format!("IMG_{number:04}.PNG"));
        form.part("images", part)
    })
}

/// A small picture, different for each number.
pub(crate) fn photo(number: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(160, 120, |x, y| {
        image::Rgb([(x + number) as u8, (y * 2) as u8, (x * y + number * 7) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(crate) fn state(job: &Value) -> &str {
    job["state"].as_str().unwrap_or("")
}

pub(crate) fn id(job: &Value) -> String {
    job["id"].as_str().unwrap().to_owned()
}

/// The `test` option for stages of this many milliseconds.
pub(crate) fn stages_of(ms: u32) -> Value {
    json!({ "stage_ms": ms })
}
