//! Attempts with a shell script as the program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use splat_test_needs::needs;

use super::*;
use crate::intake::PhotoEntry;
use crate::job::{JobState, NewJob};
use crate::queue::contract::{PLENTY, new_job};
use crate::queue::{RedisServer, SqliteQueue};
use crate::scene::SceneSpec;
use crate::store::StoreConfig;
use crate::store::tests::emulator::{Emulator, Service};

const LEASE: Duration = Duration::from_secs(1);
/// Longer than a lease and its grace period: a worker that does not renew meanwhile loses the job.
const TRANSFER: Duration = Duration::from_secs(6);
const BYTES: u64 = 240_000;
/// Maximum wait for any condition.
const PATIENCE: Duration = Duration::from_secs(100);

fn workers(queue: Arc<dyn Queue>, store: JobStore, script: &str) -> Workers {
    let options = WorkerOptions {
        name: "test".into(),
        scene_slots: 1,
        cpu_slots: 1,
        lease: LEASE,
        job_timeout: PATIENCE,
        silence_timeout: PATIENCE,
        stop_grace: Duration::from_millis(300),
        program: ["sh", "-c", script].map(OsString::from).into(),
        machine: MachineOptions { test_mode: true, ..MachineOptions::default() },
    };
    let models = Models::open(&store, None).unwrap();
    Workers::new(queue, store, models, Arc::default(), None, options)
}

fn scene() -> NewJob {
    let spec =
        SceneSpec { photos: Vec::new(), options: crate::scene::SceneOptions::default(), redo_from: None };
    NewJob { spec: serde_json::to_value(spec).unwrap(), max_attempts: 1, ..new_job("a") }
}

async fn state(queue: &dyn Queue, job: &NewJob) -> JobState {
    queue.get(&job.owner, &job.id).await.unwrap().unwrap().state
}

/// Polls every tenth of a second until `holds`.
async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

/// Download and upload take several leases, while another worker tries to claim.
#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bucket_costs_no_job_its_lease() {
    let emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    let store = emulator.slow_store(dir.path(), BYTES / TRANSFER.as_secs());
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&dir.path().join("queue.db")).unwrap());
    let job = scene();
    let photo = vec![7; usize::try_from(BYTES).unwrap()];
    emulator.store(dir.path()).put_bytes(&job.id, "images/0001.jpg", photo.into()).await.unwrap();
    queue.submit(job.clone(), PLENTY).await.unwrap();
    let script = format!(
        "read order; mkdir -p output/final_trained_model/checkpoints; \
         echo x > output/final_trained_model/checkpoints/one; head -c {BYTES} images/0001.jpg > output/result; \
         echo '{{\"line\":\"ended\",\"value\":{{\"how\":\"succeeded\",\"outcome\":{{}}}}}}'"
    );
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(workers(Arc::clone(&queue), store, &script).run(shutdown));
    until(async || state(&*queue, &job).await == JobState::Running).await;
    let rival = async || {
        assert!(queue.claim("rival", &[Lane::Scene], LEASE).await.unwrap().is_none(), "the lease was lost");
        state(&*queue, &job).await != JobState::Running
    };
    until(rival).await;
    let done = queue.get(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.attempts, &done.problem), (JobState::Succeeded, 1, &None));
    assert_eq!(emulator.store(dir.path()).head(&job.id, "output/result").await.unwrap().bytes, BYTES);
    // Files that only an unfinished training needs are removed once the queue has recorded the end.
    let kept = emulator.store(dir.path());
    until(async || kept.list(&job.id).await.unwrap().iter().all(|file| !file.path.contains("checkpoints")))
        .await;
    stop.send(true).unwrap();
    running.await.unwrap();
}

/// A job can be cancelled and released while its photos are being downloaded.
#[needs(program = "target/tools/bin/moto_server")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_stops_when_nobody_wants_it() {
    let emulator = Emulator::start(Service::S3);
    let dir = tempfile::tempdir().unwrap();
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&dir.path().join("queue.db")).unwrap());
    let jobs = [scene(), scene()];
    for job in &jobs {
        emulator
            .store(dir.path())
            .put_bytes(&job.id, "images/0001.jpg", vec![7; 100_000].into())
            .await
            .unwrap();
        queue.submit(job.clone(), PLENTY).await.unwrap();
    }
    // This takes hours.
    let store = emulator.slow_store(dir.path(), 10);
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(workers(Arc::clone(&queue), store, "exit 1").run(shutdown));
    until(async || state(&*queue, &jobs[0]).await == JobState::Running).await;
    queue.cancel(&jobs[0].owner, &jobs[0].id).await.unwrap().unwrap();
    until(async || state(&*queue, &jobs[0]).await == JobState::Cancelled).await;
    until(async || state(&*queue, &jobs[1]).await == JobState::Running).await;
    stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let back = queue.get(&jobs[1].owner, &jobs[1].id).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempts), (JobState::Queued, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_stops_also_while_its_queue_is_gone() {
    let mut redis = RedisServer::start().await;
    let queue: Arc<dyn Queue> = Arc::new(redis.connect().await);
    let dir = tempfile::tempdir().unwrap();
    let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
    let job = scene();
    queue.submit(job.clone(), PLENTY).await.unwrap();
    let (stop, shutdown) = watch::channel(false);
    // Runs until its input is closed.
    let running = tokio::spawn(workers(Arc::clone(&queue), store, "read order; read end").run(shutdown));
    until(async || state(&*queue, &job).await == JobState::Running).await;
    redis.kill();
    stop.send(true).unwrap();
    tokio::time::timeout(PATIENCE, running).await.expect("it waits for a queue that is gone").unwrap();
}

/// The service stops while a job's process does not read its order yet, which is too large for a pipe's buffer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_only_starts_is_stopped_too() {
    let dir = tempfile::tempdir().unwrap();
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&dir.path().join("queue.db")).unwrap());
    let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
    let photo = PhotoEntry { file: "1.jpg".into(), name: "x".repeat(200), bytes: 1, width: 1, height: 1 };
    let spec = SceneSpec {
        photos: vec![photo; 1000],
        options: crate::scene::SceneOptions::default(),
        redo_from: None,
    };
    let job = NewJob { spec: serde_json::to_value(spec).unwrap(), ..scene() };
    queue.submit(job.clone(), PLENTY).await.unwrap();
    let folder = store.local_dir(&job.id).unwrap();
    let (stop, shutdown) = watch::channel(false);
    let script = "touch started; until [ -e go ]; do sleep 0.05; done; read order; read end";
    let running = tokio::spawn(workers(Arc::clone(&queue), store, script).run(shutdown));
    until(async || folder.join("started").exists()).await;
    stop.send(true).unwrap();
    // The renewal notices it meanwhile.
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::fs::write(folder.join("go"), "").unwrap();
    tokio::time::timeout(PATIENCE, running).await.expect("the process is not stopped").unwrap();
    let back = queue.get(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempts), (JobState::Queued, 0));
}

/// Processes that it leaves in its group are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_started_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&dir.path().join("queue.db")).unwrap());
    let store = JobStore::open(&StoreConfig::local(dir.path())).unwrap();
    let job = scene();
    queue.submit(job.clone(), PLENTY).await.unwrap();
    let folder = store.local_dir(&job.id).unwrap();
    let script = "read order; (sleep 1000 & echo $! > left) > /dev/null 2>&1; exit 3";
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(workers(Arc::clone(&queue), store, script).run(shutdown));
    until(async || state(&*queue, &job).await == JobState::Dead).await;
    let left = std::fs::read_to_string(folder.join("left")).unwrap();
    let gone = async || {
        let alive = std::process::Command::new("kill").args(["-0", left.trim()]).output().unwrap().status;
        // Or dead but not reaped yet by the init process.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", left.trim())).unwrap_or_default();
        !alive.success() || state.contains(") Z ")
    };
    until(gone).await;
    stop.send(true).unwrap();
    running.await.unwrap();
    let problem = queue.get(&job.owner, &job.id).await.unwrap().unwrap().problem.unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.message.contains("exit status: 3")),
        ("crashed", true),
        "{problem:?}"
    );
}
