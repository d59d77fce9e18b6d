#![expect(clippy::unwrap_used, reason = "tests")]

use tempfile::TempDir;

use super::*;
use crate::queue::QueueError;
use crate::queue::contract::{self, Fixture, PLENTY, new_job};

struct File(TempDir);

#[async_trait]
impl Fixture for File {
    async fn open(&self) -> Arc<dyn Queue> {
        Arc::new(
            SqliteQueue::open(&self.0.path().join("jobs.sqlite"))
                .unwrap()
                .with_backoff(contract::BACKOFF)
                .with_grace(Duration::ZERO),
        )
    }
}

async fn file() -> File {
    File(TempDir::new().unwrap())
}

contract::contract!(file());

#[tokio::test]
async fn a_lease_that_ran_out_is_noticed_a_while_before_its_job_comes_back() {
    let folder = TempDir::new().unwrap();
    let grace = Duration::from_millis(300);
    let queue = SqliteQueue::open(&folder.path().join("jobs.sqlite")).unwrap().with_grace(grace);
    contract::a_lease_that_ran_out_is_noticed_a_while_before_its_job_comes_back(&queue, grace).await;
}

#[tokio::test]
async fn a_file_of_the_first_version_comes_up_to_date() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(super::schema::FIRST).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    let id = JobId::random();
    old.execute(
        "INSERT INTO jobs (id, owner, kind, lane, priority, place, state, max_attempts, created_ms, updated_ms, run_after_ms, spec,
                           progress, artifacts)
         VALUES (?1, 'local', 'scene', 'scene', 0, 1, 'queued', 3, 1, 1, 1, '{}', '{\"percent\": 0.0}', '[]')",
        [id.as_str()],
    )
    .unwrap();
    drop(old);
    let queue = SqliteQueue::open(&path).unwrap();
    let identity = queue.identity().await.unwrap();
    let claim = queue.claim("worker", &[Lane::Scene], Duration::from_secs(9)).await.unwrap().unwrap();
    assert_eq!(claim.job.id, id);
    queue.renew(&claim.ticket, Duration::from_secs(9)).await.unwrap();
    drop(queue);
    assert_eq!(SqliteQueue::open(&path).unwrap().identity().await.unwrap(), identity);
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    drop(SqliteQueue::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteQueue::open(&path);
    assert!(matches!(refused, Err(QueueError::Malformed { .. })), "{refused:?}");
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    std::fs::write(&path, "this is a text, and long enough to be no header ".repeat(50)).unwrap();
    let refused = SqliteQueue::open(&path);
    assert!(matches!(refused, Err(QueueError::Malformed { .. })), "{refused:?}");
    let refused = SqliteQueue::open(&folder.path().join("no such folder").join("jobs.sqlite"));
    assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{refused:?}");
}

/// A queue with one job, and another process's transaction that holds the write lock.
async fn locked() -> (TempDir, SqliteQueue, Job, rusqlite::Connection) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("jobs.sqlite");
    let queue = SqliteQueue::open(&path).unwrap();
    let job = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE counters SET value = value").unwrap();
    (folder, queue, job, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_wait_for_no_writer_and_writers_take_turns() {
    let (_folder, queue, job, other) = locked().await;
    let writing = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.submit(new_job("a"), PLENTY).await.unwrap() })
    };
    for _ in 0..20 {
        assert_eq!(queue.get(&job.owner, &job.id).await.unwrap(), Some(job.clone()));
        assert_eq!(queue.events(&job.id, 0, 10).await.unwrap().len(), 1);
        assert_eq!(queue.depth().await.unwrap()[0].queued, 1);
    }
    assert!(!writing.is_finished());
    other.execute_batch("COMMIT").unwrap();
    assert!(writing.await.unwrap().created);
    assert_eq!(queue.depth().await.unwrap()[0].queued, 2);
}

/// Dropping the future does not cancel the write, so a client that disconnects cannot leave half a job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_ordered_is_done_whoever_waits() {
    let (folder, queue, job, other) = locked().await;
    let abandoned = tokio::time::timeout(Duration::from_millis(50), queue.submit(new_job("a"), PLENTY)).await;
    assert!(abandoned.is_err());
    other.execute_batch("COMMIT").unwrap();
    // Dropping waits for the write.
    drop(queue);
    let queue = SqliteQueue::open(&folder.path().join("jobs.sqlite")).unwrap();
    assert_eq!(
        queue.list(&[job.owner], &ListQuery { limit: 9, ..Default::default() }).await.unwrap().len(),
        2
    );
}
