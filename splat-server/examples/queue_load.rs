//! How fast a queue is on this machine, and whether a thousand pollers disturb it or each other.
//!
//! ```text
//! cargo run --release -p splat-server --example queue_load -- /tmp/load.sqlite
//! cargo run --release -p splat-server --example queue_load -- redis://127.0.0.1
//! ```
//!
//! Use an empty store: what it submits stays there.

#![expect(clippy::print_stdout, reason = "a measurement tells its figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use splat_server::job::{JobId, JobKind, Lane, NewEvent, NewJob, Owner, Progress};
use splat_server::queue::{
    Admission, Claim, Ending, Queue, QueueError, Quota, RedisQueue, Report, SqliteQueue,
};

/// Jobs of the first two rounds.
const JOBS: usize = 2000;
/// Who submits and claims at once.
const AT_ONCE: usize = 50;
/// Concurrent clients, each of which polls state and events once per second.
const POLLERS: usize = 1000;
/// How long they poll.
const POLLING: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(300);

type Outcome<T> = Result<T, QueueError>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let Some(place) = std::env::args().nth(1) else {
        println!("usage: queue_load FILE.sqlite | redis://HOST");
        return Ok(());
    };
    let queue: Arc<dyn Queue> = if place.starts_with("redis") {
        Arc::new(RedisQueue::connect(&place).await?)
    } else {
        Arc::new(SqliteQueue::open(Path::new(&place))?)
    };

    let one_by_one = JOBS / 10;
    let begin = Instant::now();
    for _ in 0..one_by_one {
        submit(&*queue).await?;
    }
    tell("submit, one by one", one_by_one, begin);
    let begin = Instant::now();
    all(&queue, |queue| async move { submit(&*queue).await }).await?;
    tell("submit, 50 at once", JOBS, begin);

    let begin = Instant::now();
    for _ in 0..one_by_one {
        let claim = claim(&*queue).await?;
        end(&*queue, &claim).await?;
    }
    tell("claim and finish, one by one", one_by_one, begin);
    let begin = Instant::now();
    all(&queue, |queue| async move { end(&*queue, &claim(&*queue).await?).await }).await?;
    tell("claim and finish, 50 at once", JOBS, begin);
    poll(&queue).await
}

fn tell(what: &str, count: usize, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    println!("{what}: {:.0}/s", count as f64 / seconds);
}

/// Does it [`JOBS`] times, [`AT_ONCE`] at once.
async fn all<F>(queue: &Arc<dyn Queue>, work: fn(Arc<dyn Queue>) -> F) -> Outcome<()>
where
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let queue = Arc::clone(queue);
            tokio::spawn(async move {
                for _ in 0..JOBS / AT_ONCE {
                    work(Arc::clone(&queue)).await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await.map_err(broken)??;
    }
    Ok(())
}

async fn submit(queue: &dyn Queue) -> Outcome<()> {
    let admission =
        Admission { max_waiting: u64::MAX, max_unfinished_per_owner: u64::MAX, quota: Quota::NONE };
    let photos: Vec<_> =
        (0..50).map(|n| json!({"file": format!("{n:04}.jpg"), "width": 4000, "height": 3000})).collect();
    let job = NewJob {
        id: JobId::random(),
        owner: Owner::local(),
        kind: JobKind::Scene,
        lane: Lane::Scene,
        priority: 0,
        max_attempts: 3,
        spec: json!({"photos": photos}),
        bytes: 0,
        idempotency: None,
    };
    queue.submit(job, admission).await.map(drop)
}

async fn claim(queue: &dyn Queue) -> Outcome<Claim> {
    let claim = queue.claim("load", &[Lane::Scene], LEASE).await?;
    claim.ok_or(QueueError::Unavailable { why: "fewer jobs than were submitted".into() })
}

async fn end(queue: &dyn Queue, claim: &Claim) -> Outcome<()> {
    queue.finish(&claim.ticket, Ending::Succeeded { result: json!({}) }).await.map(drop)
}

/// One job runs and reports ten times per second; [`POLLERS`] clients each request it and its events once per second.
async fn poll(queue: &Arc<dyn Queue>) -> Outcome<()> {
    submit(&**queue).await?;
    let claim = claim(&**queue).await?;
    let end = Instant::now() + POLLING;
    let reporter = {
        let (queue, ticket) = (Arc::clone(queue), claim.ticket.clone());
        tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            for step in 0.. {
                if Instant::now() >= end {
                    break;
                }
                let progress = Progress { percent: 50.0, step: Some(step), ..Default::default() };
                let event =
                    NewEvent { kind: "progress".into(), data: json!({"loss": 0.1}), ..Default::default() };
                let begin = Instant::now();
                let report = Report { progress: Some(progress), events: vec![event], ..Default::default() };
                queue.report(&ticket, report).await?;
                slowest = slowest.max(begin.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Outcome::Ok(slowest)
        })
    };
    let pollers: Vec<_> = (0..POLLERS)
        .map(|number| {
            let (queue, job) = (Arc::clone(queue), claim.job.clone());
            tokio::spawn(async move {
                let (mut gets, mut reads, mut after) = (Vec::new(), Vec::new(), 0);
                tokio::time::sleep(Duration::from_millis(number as u64 * 1000 / POLLERS as u64)).await;
                while Instant::now() < end {
                    let begin = Instant::now();
                    queue.get(&job.owner, &job.id).await?;
                    gets.push(begin.elapsed());
                    let begin = Instant::now();
                    let events = queue.events(&job.id, after, 100).await?;
                    reads.push(begin.elapsed());
                    after = events.last().map_or(after, |event| event.sequence);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Outcome::Ok((gets, reads))
            })
        })
        .collect();
    let (mut gets, mut reads) = (Vec::new(), Vec::new());
    for poller in pollers {
        let (get, read) = poller.await.map_err(broken)??;
        gets.extend(get);
        reads.extend(read);
    }
    let slowest = reporter.await.map_err(broken)??;
    for (what, mut times) in [("get", gets), ("events", reads)] {
        times.sort_unstable();
        let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
        println!(
            "{what}, 1,000 pollers: {} answers, median {:.2?}, p99 {:.2?}, slowest {:.2?}",
            times.len(),
            at(0.5),
            at(0.99),
            at(0.9999)
        );
    }
    println!("report meanwhile: slowest {slowest:.2?}");
    Ok(())
}

fn broken(error: tokio::task::JoinError) -> QueueError {
    QueueError::Unavailable { why: error.to_string() }
}
