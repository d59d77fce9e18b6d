//! Idempotency and admission.

use std::collections::BTreeSet;

use super::*;
use crate::job::Idempotency;

fn with_key(of: &str, key: &str, fingerprint: &str) -> NewJob {
    let idempotency = Some(Idempotency { key: key.into(), fingerprint: fingerprint.into() });
    NewJob { idempotency, ..new_job(of) }
}

pub(crate) async fn the_same_key_gives_the_same_job(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let first = queue.submit(with_key("a", "key", "request"), PLENTY).await.unwrap();
    assert!(first.created);
    let claim = take(&*queue).await;
    let done = succeed(&*queue, &claim).await;
    let again = queue.submit(with_key("a", "key", "request"), PLENTY).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.job, done, "as it is now");
    let reused = queue.submit(with_key("a", "key", "another request"), PLENTY).await;
    assert!(matches!(reused, Err(QueueError::KeyReused)), "{reused:?}");
    // Another owner's key of the same name is a different key.
    let other = queue.submit(with_key("b", "key", "another request"), PLENTY).await.unwrap();
    assert!(other.created);
    // A repeated request is not a new job, however full the queue is.
    let nothing = Admission { max_waiting: 0, max_unfinished_per_owner: 0, quota: Quota::NONE };
    assert!(!queue.submit(with_key("a", "key", "request"), nothing).await.unwrap().created);
    // Nor is a job with a known id, as after a lost response.
    let twice = NewJob { id: other.job.id.clone(), ..new_job("b") };
    assert!(!queue.submit(twice, nothing).await.unwrap().created);
}

pub(crate) async fn the_same_key_at_once_gives_one_job(fixture: &dyn Fixture) {
    let (one, two) = (fixture.open().await, fixture.open().await);
    let submissions = (0..20).map(|number| {
        let queue = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        tokio::spawn(async move { queue.submit(with_key("a", "key", "request"), PLENTY).await.unwrap() })
    });
    let mut ids = BTreeSet::new();
    let mut created = 0;
    for submission in submissions.collect::<Vec<_>>() {
        let submitted = submission.await.unwrap();
        created += usize::from(submitted.created);
        ids.insert(submitted.job.id);
    }
    assert_eq!((ids.len(), created), (1, 1));
    assert_eq!(one.depth().await.unwrap()[0].queued, 1);
}

pub(crate) async fn a_key_is_free_again_after_its_job_is_deleted(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let first = queue.submit(with_key("a", "key", "request"), PLENTY).await.unwrap().job;
    queue.cancel(&first.owner, &first.id).await.unwrap().unwrap();
    queue.delete(&first.owner, &first.id).await.unwrap().unwrap();
    let second = queue.submit(with_key("a", "key", "another request"), PLENTY).await.unwrap();
    assert!(second.created);
    assert_ne!(second.job.id, first.id);
}

pub(crate) async fn admission_holds_under_concurrency(fixture: &dyn Fixture) {
    let (one, two) = (fixture.open().await, fixture.open().await);
    let admission = Admission { max_waiting: 12, max_unfinished_per_owner: 5, quota: Quota::NONE };
    let submissions = (0..40).map(|number| {
        let queue = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        let job = new_job(["a", "b", "c", "d"][number % 4]);
        tokio::spawn(async move { queue.submit(job, admission).await })
    });
    let (mut taken, mut full, mut owner_full) = (0, 0, 0);
    for submission in submissions.collect::<Vec<_>>() {
        match submission.await.unwrap() {
            Ok(submitted) => taken += usize::from(submitted.created),
            Err(QueueError::Full { waiting: 12 }) => full += 1,
            Err(QueueError::OwnerFull { unfinished: 5 }) => owner_full += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((taken, full + owner_full), (12, 28));
    // The other lane has its own queue; a running job still counts for its owner.
    let claim = take(&*one).await;
    let of = claim.job.owner.0.clone();
    let one_each = Admission { max_waiting: 1, max_unfinished_per_owner: 100, quota: Quota::NONE };
    assert!(one.submit(NewJob { lane: Lane::Cpu, ..new_job(&of) }, one_each).await.unwrap().created);
    let refused = one.submit(NewJob { lane: Lane::Cpu, ..new_job(&of) }, one_each).await;
    assert!(matches!(refused, Err(QueueError::Full { waiting: 1 })), "{refused:?}");
    let busy = Admission { max_waiting: 100, max_unfinished_per_owner: 1, quota: Quota::NONE };
    assert!(matches!(one.submit(new_job(&of), busy).await, Err(QueueError::OwnerFull { .. })));
    assert!(one.submit(new_job("nobody yet"), busy).await.unwrap().created);
}

pub(crate) async fn a_job_is_stored_as_it_was_submitted(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let new = NewJob {
        kind: JobKind::Gesture,
        lane: Lane::Cpu,
        priority: -7,
        max_attempts: 4,
        spec: json!({"empty": [], "none": null, "big": u64::MAX, "text": "사진 \"1\".jpg", "nested": {"f": 0.1}}),
        ..new_job("key id")
    };
    let job = queue.submit(new.clone(), PLENTY).await.unwrap().job;
    assert_eq!((&job.id, &job.owner, &job.kind, job.lane), (&new.id, &new.owner, &new.kind, new.lane));
    assert_eq!((job.priority, job.max_attempts, &job.spec), (-7, 4, &new.spec));
    assert_eq!((job.state, job.attempts, job.cancel_requested), (JobState::Queued, 0, false));
    assert_eq!((job.started_ms, job.finished_ms, &job.result, &job.problem), (None, None, &None, &None));
    assert!(job.created_ms > 1_700_000_000_000 && job.created_ms == job.updated_ms);
    assert_eq!(get(&*queue, &job).await, job);
}
