#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Instant;

use redis::Commands;
use serde_json::json;

use super::server::Server;
use super::*;
use crate::queue::contract::{self, Fixture, PLENTY, new_job};

#[async_trait]
impl Fixture for Server {
    async fn open(&self) -> Arc<dyn Queue> {
        Arc::new(self.connect().await.with_backoff(contract::BACKOFF).with_grace(Duration::ZERO))
    }
}

contract::contract!(Server::start());

#[tokio::test]
async fn a_lease_that_ran_out_is_noticed_a_while_before_its_job_comes_back() {
    let server = Server::start().await;
    // A busy machine must manage two requests within it.
    let grace = Duration::from_millis(1500);
    let queue = server.connect().await.with_grace(grace);
    contract::a_lease_that_ran_out_is_noticed_a_while_before_its_job_comes_back(&queue, grace).await;
}

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    for url in ["redis+unix:///no/such/socket", "redis://127.0.0.1:1", "http://localhost", "nonsense"] {
        let refused = RedisQueue::connect(url).await;
        assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{url}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_loses_nothing_and_is_found_again() {
    let mut server = Server::start().await;
    let queue = server.connect().await;
    let first = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    let second = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    let claim = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
    assert_eq!(claim.job.id, first.id);

    server.kill();
    for _ in 0..3 {
        let refused = queue.renew(&claim.ticket, LEASE).await;
        assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{refused:?}");
        let refused = queue.get(&first.owner, &first.id).await;
        assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{refused:?}");
    }

    server.start_again();
    let begin = Instant::now();
    while queue.ping().await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(120), "the connection does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The claim is still valid, and the queue is unchanged.
    assert!(queue.renew(&claim.ticket, LEASE).await.is_ok());
    let done = queue.finish(&claim.ticket, Ending::Succeeded { result: json!({}) }).await.unwrap();
    assert_eq!(done.state, JobState::Succeeded);
    let next = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
    assert_eq!(next.job.id, second.id);
    assert_eq!(queue.events(&first.id, 0, 10).await.unwrap().len(), 3);
}

/// As when the network drops all packets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_given_up_in_time_and_found_again() {
    let server = Server::start().await;
    let queue = server.connect().await;
    let job = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    server.signal("STOP");
    let refused = queue.get(&job.owner, &job.id).await;
    assert!(matches!(refused, Err(QueueError::Unavailable { .. })), "{refused:?}");
    server.signal("CONT");
    let begin = Instant::now();
    while queue.ping().await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(120), "the connection does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(queue.get(&job.owner, &job.id).await.unwrap(), Some(job));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_lost_are_loaded_again() {
    let server = Server::start().await;
    let queue = server.connect().await;
    let job = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap();
    let claim = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
    assert_eq!(claim.job.id, job.id);
    queue.finish(&claim.ticket, Ending::Cancelled).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_running_job_has_a_lease_and_nothing_is_left_behind() {
    let server = Server::start().await;
    let backoff = Backoff { first: Duration::from_millis(40), longest: Duration::from_millis(40) };
    let queue = server.connect().await.with_backoff(backoff).with_grace(Duration::ZERO);
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut leases = || -> usize { redis.zcard("{splat}:leases:scene").unwrap() };
    let mut jobs = Vec::new();
    for number in 0..6 {
        jobs.push(queue.submit(NewJob { priority: number % 2, ..new_job("a") }, PLENTY).await.unwrap().job);
    }
    assert_eq!(leases(), 0);
    let short = Duration::from_millis(400);
    let lost = queue.claim("dies", &[Lane::Scene], short).await.unwrap().unwrap();
    let kept = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
    let again = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
    assert_eq!(leases(), 3);
    queue.finish(&again.ticket, Ending::Released).await.unwrap();
    assert_eq!(leases(), 2);
    queue.finish(&kept.ticket, Ending::Cancelled).await.unwrap();
    assert_eq!(leases(), 1);
    tokio::time::sleep(short * 2).await;
    queue.ended(0..0).await.unwrap();
    assert_eq!(leases(), 0, "the lost job waits");
    queue.cancel(&lost.job.owner, &lost.job.id).await.unwrap().unwrap();
    let queued: Vec<&Job> =
        jobs.iter().filter(|job| job.id != lost.job.id && job.id != kept.job.id).collect();
    queue.cancel(&queued[0].owner, &queued[0].id).await.unwrap().unwrap();
    for _ in 0..3 {
        let claim = queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().unwrap();
        queue.finish(&claim.ticket, Ending::Succeeded { result: json!({}) }).await.unwrap();
    }
    assert!(queue.claim("worker", &[Lane::Scene], LEASE).await.unwrap().is_none());
    assert_eq!(leases(), 0);
    for job in &jobs {
        queue.delete(&job.owner, &job.id).await.unwrap().unwrap();
    }
    let mut left: Vec<String> = redis.keys("*").unwrap();
    // Daily usage by key is kept for quotas and the operator.
    left.retain(|key| !key.starts_with("{splat}:usage:"));
    left.sort_unstable();
    // Counters, and ids of deleted jobs.
    assert_eq!(left, ["{splat}:count", "{splat}:deleted", "{splat}:served"]);
}

/// Jobs that were running when the program was updated are requeued like any other when their workers are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_of_earlier_versions_run_out_too() {
    let server = Server::start().await;
    let queue = server.connect().await.with_backoff(contract::BACKOFF).with_grace(Duration::ZERO);
    let job = queue.submit(new_job("a"), PLENTY).await.unwrap().job;
    let claim = queue.claim("dies", &[Lane::Scene], Duration::from_millis(1)).await.unwrap().unwrap();
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    // The old storage format: a ticket in a stream, linked to the job.
    let _: () = redis.del("{splat}:leases:scene").unwrap();
    let ticket: String = redis.xadd("{splat}:tickets:scene", "*", &[("t", "1")]).unwrap();
    let _: () = redis.hset("{splat}:bound:scene", ticket, job.id.as_str()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    queue.ended(0..0).await.unwrap();
    let back = queue.get(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempts), (JobState::Queued, 1));
    let late = queue.renew(&claim.ticket, LEASE).await;
    assert!(matches!(late, Err(QueueError::ClaimLost { .. })), "{late:?}");
    let left: Vec<String> = redis.keys("{splat}:*s:scene").unwrap();
    assert_eq!(left, [""; 0], "neither tickets nor leases");
}

#[tokio::test]
async fn settings_that_lose_jobs_are_named() {
    let server = Server::start().await;
    let queue = server.connect().await;
    assert_eq!(queue.risks().await, [""; 0]);
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    for (name, value) in [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")] {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut redis).unwrap();
    }
    let risks = queue.risks().await.join("\n");
    assert!(risks.contains("`appendonly no`") && risks.contains("`maxmemory-policy allkeys-lru`"), "{risks}");
}

#[tokio::test]
async fn an_address_with_a_password_is_not_shown() {
    let refused = RedisQueue::connect("redis://user:hunter2@127.0.0.1:1").await.unwrap_err();
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
    let server = Server::start().await;
    assert!(!format!("{:?}", server.connect().await).contains("redis.sock"));
}
