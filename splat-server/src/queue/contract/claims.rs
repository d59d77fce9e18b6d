//! Fencing, leases, attempts.

use std::collections::BTreeSet;

use super::*;
use crate::queue::Fate;

pub(crate) async fn a_stale_worker_is_refused(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let stale = queue.claim("stale", SCENE, SHORT).await.unwrap().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    let fresh = take_soon(&*queue, LONG).await;
    assert_eq!(fresh.job.id, job.id);
    assert!(fresh.ticket.token > stale.ticket.token);

    assert_lost(queue.renew(&stale.ticket, LONG).await);
    assert_lost(queue.report(&stale.ticket, Report::default()).await);
    assert_lost(queue.finish(&stale.ticket, Ending::Succeeded { result: json!(1) }).await);
    assert_lost(queue.finish(&stale.ticket, Ending::Released).await);
    assert_eq!(get(&*queue, &job).await.state, JobState::Running);

    let done = succeed(&*queue, &fresh).await;
    assert_ended(&done, JobState::Succeeded);
    assert_eq!(done.result, Some(json!({"psnr": 30.5})));
    assert_lost(queue.finish(&fresh.ticket, Ending::Failed(problem("late"))).await);
    assert_eq!(get(&*queue, &job).await, done);
}

/// As after a machine slept: no other worker claimed the job, so the worker continues, and its result counts.
pub(crate) async fn a_lease_that_ran_out_holds_until_the_job_was_brought_back(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    submit(&*queue, new_job("a")).await;
    let claim = queue.claim("asleep", SCENE, SHORT).await.unwrap().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    queue.report(&claim.ticket, Report::default()).await.unwrap();
    queue.renew(&claim.ticket, SHORT).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    let done = succeed(&*queue, &claim).await;
    assert_eq!((done.state, done.attempts), (JobState::Succeeded, 1));
    // Once the job was requeued, the claim is lost.
    submit(&*queue, new_job("a")).await;
    let claim = queue.claim("asleep", SCENE, SHORT).await.unwrap().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    queue.ended(0..0).await.unwrap();
    assert_lost(queue.renew(&claim.ticket, LONG).await);
    assert_lost(queue.report(&claim.ticket, Report::default()).await);
    assert_lost(queue.finish(&claim.ticket, Ending::Succeeded { result: json!(1) }).await);
}

/// For queues with a grace period: a process that wakes up together with a worker must not requeue its job before it can renew.
pub(crate) async fn a_lease_that_ran_out_is_noticed_a_while_before_its_job_comes_back(
    queue: &dyn Queue,
    grace: Duration,
) {
    let job = submit(queue, new_job("a")).await;
    let claim = queue.claim("asleep", SCENE, SHORT).await.unwrap().unwrap();
    for _ in 0..2 {
        tokio::time::sleep(SHORT * 2).await;
        // Notices the expired lease for the first time since the last renewal.
        assert!(queue.claim("other", SCENE, LONG).await.unwrap().is_none());
        assert_eq!(get(queue, &job).await.state, JobState::Running);
        queue.renew(&claim.ticket, SHORT).await.unwrap();
    }
    tokio::time::sleep(SHORT * 2).await;
    queue.ended(0..0).await.unwrap();
    tokio::time::sleep(grace + SHORT).await;
    queue.ended(0..0).await.unwrap();
    assert_eq!(get(queue, &job).await.state, JobState::Queued);
    assert_lost(queue.renew(&claim.ticket, LONG).await);
}

pub(crate) async fn attempts_are_counted_anew_after_progress(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, NewJob { max_attempts: 2, ..new_job("a") }).await;
    // The percentage at which each worker is lost, the attempts counted then, and whether the job is dead.
    for (percent, attempts, state) in [
        (0.0, 1, JobState::Queued),
        (30.0, 1, JobState::Queued),
        (60.0, 1, JobState::Queued),
        (61.0, 2, JobState::Dead),
    ] {
        let claim = take_soon(&*queue, SHORT).await;
        queue.report(&claim.ticket, progress(percent)).await.unwrap();
        tokio::time::sleep(SHORT * 2).await;
        queue.ended(0..0).await.unwrap();
        let now = get(&*queue, &job).await;
        assert_eq!((now.state, now.attempts), (state, attempts), "lost at {percent} %");
    }
    let reason = get(&*queue, &job).await.problem.unwrap().message;
    assert!(reason.contains("begun 2 times") && reason.contains("slept"), "{reason}");
    // A retry by the owner resets the attempts.
    queue.retry(&job.owner, &job.id, json!({})).await.unwrap().unwrap();
    for attempts in [1, 1] {
        let claim = take_soon(&*queue, SHORT).await;
        let percent = 10.0 * claim.job.attempts as f64;
        queue.report(&claim.ticket, progress(percent)).await.unwrap();
        tokio::time::sleep(SHORT * 2).await;
        queue.ended(0..0).await.unwrap();
        assert_eq!(get(&*queue, &job).await.attempts, attempts);
    }
}

pub(crate) async fn a_queue_knows_itself_and_what_it_deleted(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let identity = queue.identity().await.unwrap();
    assert!(identity.parse::<JobId>().is_ok(), "{identity}");
    assert_eq!(fixture.open().await.identity().await.unwrap(), identity);
    let job = submit(&*queue, new_job("a")).await;
    assert_eq!(queue.fate(&job.id).await.unwrap(), Fate::Here(JobState::Queued));
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!(queue.fate(&job.id).await.unwrap(), Fate::Here(JobState::Cancelled));
    queue.delete(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!(queue.fate(&job.id).await.unwrap(), Fate::Deleted);
    assert_eq!(queue.fate(&JobId::random()).await.unwrap(), Fate::Unknown);
}

pub(crate) async fn a_renewed_lease_holds(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    submit(&*queue, new_job("a")).await;
    // Renewed after a third of it, so that a busy machine may be two seconds late.
    let lease = Duration::from_secs(3);
    let claim = queue.claim("worker", SCENE, lease).await.unwrap().unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(queue.claim("other", SCENE, LONG).await.unwrap().is_none());
        assert!(!queue.renew(&claim.ticket, lease).await.unwrap().cancel_requested);
    }
    let done = succeed(&*queue, &claim).await;
    assert_eq!(done.attempts, 1);
    assert!(done.started_ms >= Some(done.created_ms));
}

pub(crate) async fn a_lost_lease_counts_as_an_attempt_and_too_many_are_death(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, NewJob { max_attempts: 2, ..new_job("a") }).await;
    let first = queue.claim("dies", SCENE, SHORT).await.unwrap().unwrap();
    assert_eq!(first.job.attempts, 1);
    tokio::time::sleep(SHORT * 2).await;
    // Requeued, but not claimable before its delay.
    assert!(queue.claim("early", SCENE, SHORT).await.unwrap().is_none());
    let back = get(&*queue, &job).await;
    assert_eq!((back.state, back.attempts), (JobState::Queued, 1));
    assert!(back.run_after_ms >= back.updated_ms + 300, "{back:?}");

    let second = take_soon(&*queue, SHORT).await;
    assert_eq!(second.job.attempts, 2);
    tokio::time::sleep(SHORT * 2).await;
    queue.ended(0..0).await.unwrap();
    let dead = get(&*queue, &job).await;
    assert_ended(&dead, JobState::Dead);
    assert_eq!(dead.problem.unwrap().code, "attempts_exhausted");
    assert_eq!(recorded_states(&*queue, &job.id).await, ["queued", "running", "queued", "running", "dead"]);
    tokio::time::sleep(BACKOFF.longest).await;
    assert!(queue.claim("late", SCENE, LONG).await.unwrap().is_none());
}

pub(crate) async fn a_failure_that_may_pass_waits_and_at_last_is_death(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, NewJob { max_attempts: 2, ..new_job("a") }).await;
    let first = take(&*queue).await;
    let waiting = queue.finish(&first.ticket, Ending::Retry(problem("disk_full"))).await.unwrap();
    assert_eq!((waiting.state, waiting.attempts), (JobState::Queued, 1));
    assert_eq!(waiting.problem, Some(problem("disk_full")));
    assert!(waiting.finished_ms.is_none());
    let wait = waiting.run_after_ms - waiting.updated_ms;
    assert!((300..=600).contains(&wait), "waits {wait} ms");
    assert!(queue.claim("early", SCENE, LONG).await.unwrap().is_none());

    let second = take_soon(&*queue, LONG).await;
    let dead = queue.finish(&second.ticket, Ending::Retry(problem("disk_full"))).await.unwrap();
    assert_ended(&dead, JobState::Dead);
    assert_eq!(dead.problem, Some(problem("disk_full")));
    assert_eq!(get(&*queue, &job).await, dead);
}

pub(crate) async fn a_failure_for_good_is_told(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;
    let failed = queue.finish(&claim.ticket, Ending::Failed(problem("no_reconstruction"))).await.unwrap();
    assert_ended(&failed, JobState::Failed);
    assert_eq!(failed.problem, Some(problem("no_reconstruction")));
    let last = queue.events(&job.id, 0, 100).await.unwrap().pop().unwrap();
    assert_eq!((last.kind.as_str(), last.message.as_str()), ("state", "It went wrong."));
}

pub(crate) async fn released_jobs_do_not_count_and_come_back_at_once(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    submit(&*queue, NewJob { max_attempts: 1, ..new_job("a") }).await;
    for _ in 0..3 {
        let claim = take(&*queue).await;
        assert_eq!(claim.job.attempts, 1);
        let back = queue.finish(&claim.ticket, Ending::Released).await.unwrap();
        assert_eq!((back.state, back.attempts), (JobState::Queued, 0));
        assert_lost(queue.renew(&claim.ticket, LONG).await);
    }
    let done = succeed(&*queue, &take(&*queue).await).await;
    assert_eq!(done.attempts, 1);
}

pub(crate) async fn claimers_at_once_get_distinct_jobs(fixture: &dyn Fixture) {
    let (one, two) = (fixture.open().await, fixture.open().await);
    for _ in 0..20 {
        submit(&*one, new_job("a")).await;
    }
    let claimers = (0..25).map(|number| {
        let queue = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        tokio::spawn(async move { queue.claim(&format!("worker {number}"), SCENE, LONG).await.unwrap() })
    });
    let mut ids = BTreeSet::new();
    let mut empty = 0;
    for claimer in claimers.collect::<Vec<_>>() {
        match claimer.await.unwrap() {
            Some(claim) => assert!(ids.insert(claim.job.id.clone()), "{} was given twice", claim.job.id),
            None => empty += 1,
        }
    }
    assert_eq!((ids.len(), empty), (20, 5));
}

pub(crate) async fn what_was_acknowledged_is_there_after_opening_again(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(submit(&*queue, new_job("a")).await);
    }
    let claim = take(&*queue).await;
    queue.report(&claim.ticket, progress(40.0)).await.unwrap();
    let before = listed(&*queue, &owner("a")).await;
    drop(queue);

    let queue = fixture.open().await;
    let after = listed(&*queue, &owner("a")).await;
    assert_eq!(after, before);
    assert_eq!(after.len(), 5);
    // The claim does not depend on the connection it was made on.
    assert!(queue.renew(&claim.ticket, LONG).await.is_ok());
    assert_eq!(take(&*queue).await.job.id, jobs[1].id);
    assert_ended(&succeed(&*queue, &claim).await, JobState::Succeeded);
}

pub(crate) async fn tokens_grow_with_every_claim(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let mut last = 0;
    for round in 0..4 {
        let claim = take(&*queue).await;
        assert!(claim.ticket.token > last, "{} after {last}", claim.ticket.token);
        last = claim.ticket.token;
        if round % 2 == 0 {
            queue.finish(&claim.ticket, Ending::Released).await.unwrap();
        } else {
            succeed(&*queue, &claim).await;
            queue.retry(&job.owner, &job.id, json!({})).await.unwrap().unwrap();
        }
    }
}
