//! A writing process is killed repeatedly while another has the same file open.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::job::{JobState, NewEvent};
use crate::queue::Report;
use crate::queue::contract::{PLENTY, new_job};

const KILLS: u64 = 12;
/// Environment variable with the file's path; set only in the process to be killed.
const FILE: &str = "SPLAT_TEST_KILLED_WRITER";
const LEASE: Duration = Duration::from_secs(60);

/// Does nothing in a normal test run. Started by [`a_killed_writer_loses_nothing_that_it_was_told`], it writes until it is
/// killed, and prints what was acknowledged on standard output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let queue = SqliteQueue::open(Path::new(&path)).unwrap();
    let mut out = std::io::stdout();
    loop {
        let job = queue.submit(new_job("local"), PLENTY).await.unwrap().job;
        writeln!(out, "@queued {}", job.id).unwrap();
        let claim = queue.claim("killed", &[Lane::Scene], LEASE).await.unwrap().unwrap();
        writeln!(out, "@running {}", claim.job.id).unwrap();
        let events = vec![NewEvent { kind: "progress".into(), ..Default::default() }; 3];
        queue.report(&claim.ticket, Report { events, ..Default::default() }).await.unwrap();
        queue.finish(&claim.ticket, Ending::Succeeded { result: json!({}) }).await.unwrap();
        writeln!(out, "@succeeded {}", claim.job.id).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_writer_loses_nothing_that_it_was_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let queue = SqliteQueue::open(&path).unwrap();
    let mut reported_states = BTreeMap::new();
    for kill in 1..=KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queue::sqlite::killed::writes_until_killed", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut note = |line: &str| -> bool {
            // The test harness also prints, possibly on the same line.
            let Some((_, acknowledged)) = line.split_once('@') else { return false };
            let Some((state, id)) = acknowledged.split_once(' ') else { return false };
            let (Some(state), Ok(id)) = (JobState::from_name(state), id.parse::<JobId>()) else {
                return false;
            };
            reported_states.insert(id, state);
            true
        };
        // A different moment each time.
        let mut left = 5 + 7 * kill % 11;
        while left > 0 {
            left -= u64::from(note(&lines.next().unwrap().unwrap()));
        }
        std::thread::sleep(Duration::from_micros(700 * kill));
        writer.kill().unwrap();
        writer.wait().unwrap();
        for line in lines.map_while(std::io::Result::ok) {
            note(&line);
        }
    }
    assert!(reported_states.len() > 20, "{}", reported_states.len());
    let mut running = 0;
    for (id, state) in &reported_states {
        let job = queue.get(&Owner::local(), id).await.unwrap().expect("a reported job is in the queue");
        // It may have progressed between printing and the kill.
        let order = [JobState::Queued, JobState::Running, JobState::Succeeded];
        let at = |state: JobState| order.iter().position(|one| *one == state).unwrap();
        assert!(at(job.state) >= at(*state), "{id} was {state:?} and is {:?}", job.state);
        running += u64::from(job.state == JobState::Running);
        let events = queue.events(id, 0, 100).await.unwrap();
        assert!(events.iter().map(|event| event.sequence).eq(1..=u64::try_from(events.len()).unwrap()));
        let full = if job.state == JobState::Succeeded { 6 } else { 1 };
        assert!(events.len() >= full, "{events:?}");
    }
    assert!(running <= KILLS, "{running} jobs run in {KILLS} dead processes");
    let depth = queue.depth().await.unwrap();
    assert!(depth[0].queued <= KILLS && depth[0].running <= KILLS, "{depth:?}");
}
