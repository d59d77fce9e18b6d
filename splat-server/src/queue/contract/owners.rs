//! What owners can do with their own jobs only.

use super::*;
use crate::job::Artifact;

pub(crate) async fn queued_jobs_are_cancelled_at_once_and_running_ones_hear_of_it(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let running = submit(&*queue, new_job("a")).await;
    let queued = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;

    let cancelled = queue.cancel(&queued.owner, &queued.id).await.unwrap().unwrap();
    assert_ended(&cancelled, JobState::Cancelled);
    assert!(queue.claim("idle", SCENE, LONG).await.unwrap().is_none());
    assert_eq!(recorded_states(&*queue, &queued.id).await, ["queued", "cancelled"]);

    assert!(!queue.renew(&claim.ticket, LONG).await.unwrap().cancel_requested);
    let asked = queue.cancel(&running.owner, &running.id).await.unwrap().unwrap();
    assert_eq!((asked.state, asked.cancel_requested), (JobState::Running, true));
    assert!(queue.renew(&claim.ticket, LONG).await.unwrap().cancel_requested);
    assert!(queue.report(&claim.ticket, Report::default()).await.unwrap().cancel_requested);
    let event = queue.events(&running.id, 0, 100).await.unwrap().pop().unwrap();
    assert_eq!(event.data, json!({"state": "running", "cancel_requested": true}));
    // A repeated request changes nothing.
    queue.cancel(&running.owner, &running.id).await.unwrap().unwrap();
    assert_eq!(queue.events(&running.id, event.sequence, 100).await.unwrap(), []);

    let stopped = queue.finish(&claim.ticket, Ending::Cancelled).await.unwrap();
    assert_ended(&stopped, JobState::Cancelled);
    // A job that has ended is returned unchanged.
    assert_eq!(queue.cancel(&running.owner, &running.id).await.unwrap().unwrap(), stopped);
}

pub(crate) async fn a_cancelled_job_whose_worker_is_lost_or_gives_up_is_cancelled(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    queue.claim("dies", SCENE, SHORT).await.unwrap().unwrap();
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert!(queue.claim("other", SCENE, LONG).await.unwrap().is_none());
    assert_ended(&get(&*queue, &job).await, JobState::Cancelled);

    for ending in [Ending::Released, Ending::Retry(problem("passing"))] {
        let job = submit(&*queue, new_job("a")).await;
        let claim = take(&*queue).await;
        queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
        assert_ended(&queue.finish(&claim.ticket, ending).await.unwrap(), JobState::Cancelled);
    }
    // A finished job cannot be cancelled.
    let job = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    assert_ended(&succeed(&*queue, &claim).await, JobState::Succeeded);
}

pub(crate) async fn owners_see_only_their_jobs(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let other = owner("b");
    assert_eq!(queue.get(&other, &job.id).await.unwrap(), None);
    assert_eq!(queue.cancel(&other, &job.id).await.unwrap(), None);
    assert_eq!(queue.delete(&other, &job.id).await.unwrap(), None);
    assert_eq!(queue.retry(&other, &job.id, json!({})).await.unwrap(), None);
    assert_eq!(listed(&*queue, &other).await, []);
    assert_eq!(queue.get(&job.owner, &JobId::random()).await.unwrap(), None);
    assert_eq!(get(&*queue, &job).await, job);
}

pub(crate) async fn retry_begins_anew(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, NewJob { max_attempts: 1, ..new_job("a") }).await;
    assert_state_refused(queue.retry(&job.owner, &job.id, json!({})).await, JobState::Queued);
    let claim = take(&*queue).await;
    assert_state_refused(queue.retry(&job.owner, &job.id, json!({})).await, JobState::Running);
    let log = Artifact {
        name: "log.txt".into(),
        path: "log.txt".into(),
        bytes: 3,
        content_type: "text/plain".into(),
    };
    let report = Report { artifacts: vec![log], ..progress(70.0) };
    queue.report(&claim.ticket, report).await.unwrap();
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    queue.finish(&claim.ticket, Ending::Failed(problem("broken"))).await.unwrap();

    let again = queue.retry(&job.owner, &job.id, json!({"from": "train"})).await.unwrap().unwrap();
    assert_eq!((again.state, again.attempts, again.cancel_requested), (JobState::Queued, 0, false));
    assert_eq!(again.spec, json!({"from": "train"}));
    assert_eq!((again.started_ms, again.finished_ms), (None, None));
    assert_eq!((&again.problem, &again.result, &again.progress), (&None, &None, &Progress::default()));
    assert_eq!(again.artifacts, []);
    assert_eq!(get(&*queue, &job).await, again);
    assert_lost(queue.renew(&claim.ticket, LONG).await);

    let claim = take(&*queue).await;
    assert_eq!((claim.job.attempts, claim.job.spec["from"].as_str()), (1, Some("train")));
    let done = succeed(&*queue, &claim).await;
    assert_eq!(done.created_ms, job.created_ms);
    // Events of all runs are numbered consecutively.
    let events = queue.events(&job.id, 0, 100).await.unwrap();
    assert!(events.iter().map(|event| event.sequence).eq(1..=u64::try_from(events.len()).unwrap()));
}

pub(crate) async fn delete_forgets_jobs_that_ended(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    assert_state_refused(queue.delete(&job.owner, &job.id).await, JobState::Queued);
    let claim = take(&*queue).await;
    assert_state_refused(queue.delete(&job.owner, &job.id).await, JobState::Running);
    let done = succeed(&*queue, &claim).await;
    assert_eq!(queue.delete(&job.owner, &job.id).await.unwrap(), Some(done));
    assert_eq!(queue.get(&job.owner, &job.id).await.unwrap(), None);
    assert_eq!(queue.events(&job.id, 0, 100).await.unwrap(), []);
    assert_eq!(queue.delete(&job.owner, &job.id).await.unwrap(), None);
    assert_eq!(queue.ended(0..u64::MAX).await.unwrap(), []);
    assert_eq!(listed(&*queue, &job.owner).await, []);
    assert_lost(queue.finish(&claim.ticket, Ending::Released).await);
}

pub(crate) async fn lists_go_page_by_page(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let kind = if number % 2 == 0 { JobKind::Scene } else { JobKind::Gesture };
        ids.push(submit(&*queue, NewJob { kind, ..new_job("a") }).await.id);
        submit(&*queue, new_job("b")).await;
    }
    ids.reverse();
    let page = async |query: ListQuery| -> Vec<JobId> {
        let jobs = queue.list(&[owner("a")], &query).await.unwrap();
        assert!(jobs.iter().all(|job| job.owner == owner("a")));
        jobs.into_iter().map(|job| job.id).collect()
    };
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let ids = page(ListQuery { limit: 3, before: before.clone(), ..Default::default() }).await;
        let Some(last) = ids.last() else { break };
        before = Some(last.clone());
        seen.extend(ids);
    }
    assert_eq!(seen, ids);
    assert_eq!(page(ListQuery { limit: 0, ..Default::default() }).await, ids[..1], "at least one");
    assert_eq!(page(ListQuery { limit: u32::MAX, ..Default::default() }).await, ids, "200 at most");
    let gestures = ListQuery { kind: Some(JobKind::Gesture), limit: 2, ..Default::default() };
    assert_eq!(page(gestures.clone()).await, [ids[1].clone(), ids[3].clone()]);
    assert_eq!(page(ListQuery { before: Some(ids[3].clone()), ..gestures }).await, ids[5..6]);

    queue.cancel(&owner("a"), &ids[2]).await.unwrap().unwrap();
    let cancelled = ListQuery { state: Some(JobState::Cancelled), limit: 10, ..Default::default() };
    assert_eq!(page(cancelled).await, ids[2..3]);
    let strangers = queue.list(&[owner("b")], &ListQuery { limit: 1, ..Default::default() }).await.unwrap();
    let beyond = ListQuery { before: Some(strangers[0].id.clone()), limit: 10, ..Default::default() };
    assert_eq!(page(beyond).await, [], "another owner's job is no place to go on from");
}

pub(crate) async fn ended_jobs_are_named_by_time(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let mut ended = Vec::new();
    for number in 0..3 {
        let job = submit(&*queue, new_job(&format!("owner {number}"))).await;
        let done = succeed(&*queue, &take(&*queue).await).await;
        ended.push((job.owner, job.id, done.finished_ms.unwrap()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    submit(&*queue, new_job("waits")).await;
    let named = |count: usize| -> Vec<(Owner, JobId)> {
        ended[..count].iter().map(|(owner, id, _)| (owner.clone(), id.clone())).collect()
    };
    assert_eq!(queue.ended(0..ended[0].2).await.unwrap(), []);
    assert_eq!(queue.ended(0..ended[2].2).await.unwrap(), named(2));
    assert_eq!(queue.ended(0..u64::MAX).await.unwrap(), named(3));
    assert_eq!(queue.ended(ended[1].2..u64::MAX).await.unwrap(), named(3)[1..]);
    assert_eq!(queue.ended(ended[1].2..ended[1].2).await.unwrap(), []);
    queue.retry(&ended[0].0, &ended[0].1, json!({})).await.unwrap().unwrap();
    queue.delete(&ended[1].0, &ended[1].1).await.unwrap().unwrap();
    assert_eq!(queue.ended(0..u64::MAX).await.unwrap(), named(3)[2..]);
}
