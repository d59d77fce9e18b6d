//! Notes of owners, usage and quotas, and modes of operation.

use super::*;
use crate::job::{Change, Cut, Share};
use crate::queue::{Mode, Usage};

fn link(secret: &JobId) -> Share {
    let cut = Cut { region: Some("box:0,0,0,1,1,1".parse().unwrap()), drop_floaters: true };
    Share { secret: secret.clone(), created_ms: 7, cut }
}

async fn change(queue: &dyn Queue, job: &Job, change: Change) -> Option<Job> {
    queue.change(&job.owner, &job.id, change).await.unwrap()
}

pub(crate) async fn notes_outlive_attempts_and_are_the_owners(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let named = Change { name: Some(Some("정원 \"gate\"".into())), ..Default::default() };
    let pinned = Change { pinned: Some(true), ..Default::default() };
    assert_eq!(queue.change(&owner("b"), &job.id, named.clone()).await.unwrap(), None);
    assert_eq!(queue.change(&job.owner, &JobId::random(), named.clone()).await.unwrap(), None);
    change(&*queue, &job, named).await.unwrap();
    let claim = take(&*queue).await;
    let changed = change(&*queue, &job, pinned).await.unwrap();
    assert_eq!((changed.notes.name.as_deref(), changed.notes.pinned), (Some("정원 \"gate\""), true));
    let done = succeed(&*queue, &claim).await;
    assert_eq!(done.notes, changed.notes);
    let again = queue.retry(&job.owner, &job.id, json!({})).await.unwrap().unwrap();
    assert_eq!(again.notes, changed.notes);
    let back = Change { name: Some(None), pinned: Some(false), ..Default::default() };
    assert_eq!(change(&*queue, &job, back).await.unwrap().notes, Default::default());
    assert_eq!(get(&*queue, &job).await.notes, Default::default());
}

pub(crate) async fn a_link_leads_to_its_job_until_it_is_revoked(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let (first, second) = (JobId::random(), JobId::random());
    assert_eq!(queue.shared(&first).await.unwrap(), None);
    let share = |share: Option<Share>| Change { share: Some(share), ..Default::default() };
    let shared = change(&*queue, &job, share(Some(link(&first)))).await.unwrap();
    assert_eq!(shared.notes.share, Some(link(&first)));
    assert_eq!(queue.shared(&first).await.unwrap(), Some(shared));
    // A new link replaces the first.
    let moved = change(&*queue, &job, share(Some(link(&second)))).await.unwrap();
    assert_eq!(queue.shared(&first).await.unwrap(), None);
    assert_eq!(queue.shared(&second).await.unwrap(), Some(moved));
    change(&*queue, &job, share(None)).await.unwrap();
    assert_eq!(queue.shared(&second).await.unwrap(), None);
    change(&*queue, &job, share(Some(link(&first)))).await.unwrap();
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    queue.delete(&job.owner, &job.id).await.unwrap().unwrap();
    assert_eq!(queue.shared(&first).await.unwrap(), None);
}

pub(crate) async fn pinned_jobs_do_not_expire(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    // More than one batch, all before those that expire.
    let mut pinned = Vec::new();
    for _ in 0..120 {
        let job = submit(&*queue, new_job("a")).await;
        change(&*queue, &job, Change { pinned: Some(true), ..Default::default() }).await.unwrap();
        queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
        pinned.push(job);
    }
    let job = submit(&*queue, new_job("a")).await;
    queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    let expired = queue.expired(u64::MAX >> 1).await.unwrap();
    assert_eq!(expired, [(job.owner.clone(), job.id.clone())]);
    assert_eq!(queue.expired(0).await.unwrap(), []);
    assert_eq!(
        queue.ended(0..u64::MAX >> 1).await.unwrap().len(),
        100,
        "a pinned job has ended all the same"
    );
    change(&*queue, &pinned[7], Change { pinned: Some(false), ..Default::default() }).await.unwrap();
    assert_eq!(queue.expired(u64::MAX >> 1).await.unwrap().len(), 2);
}

pub(crate) async fn quotas_hold_and_tell_what_is_used(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let with = |quota: Quota| Admission { quota, ..PLENTY };
    let refused = |outcome: crate::queue::Result<crate::queue::Submitted>, words: &str| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, QueueError::QuotaUsedUp { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let of = |bytes: u64| NewJob { bytes, ..new_job("a") };
    let bytes = with(Quota { bytes: Some(1000), ..Quota::NONE });
    let first = queue.submit(of(600), bytes).await.unwrap().job;
    assert_eq!(first.bytes, 600);
    refused(queue.submit(of(401), bytes).await, "MiB");
    queue.submit(of(400), bytes).await.unwrap();
    // The size of a job's results replaces that of its input.
    let claim = take(&*queue).await;
    queue.report(&claim.ticket, Report { bytes: Some(100), ..Default::default() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(succeed(&*queue, &claim).await.bytes, 100);
    queue.submit(of(500), bytes).await.unwrap();
    let usage = queue.usage(&owner("a")).await.unwrap();
    assert_eq!((usage.jobs_today, usage.kept_jobs, usage.kept_bytes), (3, 3, 1000));
    assert!((25..60_000).contains(&usage.busy_ms_today), "{usage:?}");
    refused(queue.submit(of(0), with(Quota { jobs_a_day: Some(3), ..Quota::NONE })).await, "jobs today");
    refused(
        queue.submit(of(0), with(Quota { busy_ms_a_day: Some(20), ..Quota::NONE })).await,
        "minutes today",
    );
    queue
        .submit(of(0), with(Quota { jobs_a_day: Some(4), busy_ms_a_day: Some(60_000), bytes: None }))
        .await
        .unwrap();
    // Deleting frees bytes and changes nothing else.
    queue.delete(&first.owner, &first.id).await.unwrap().unwrap();
    let after = queue.usage(&owner("a")).await.unwrap();
    assert_eq!(after, Usage { kept_jobs: 3, kept_bytes: 900, jobs_today: 4, ..usage });
    // Other owners and webhooks are not counted.
    assert_eq!(queue.usage(&owner("b")).await.unwrap(), Usage::default());
    let nothing = with(Quota { bytes: Some(0), jobs_a_day: Some(0), busy_ms_a_day: Some(0) });
    let message = NewJob { lane: Lane::Webhook, ..new_job("webhooks") };
    queue.submit(message, nothing).await.unwrap();
    assert_eq!(queue.usage(&owner("webhooks")).await.unwrap().jobs_today, 0);
}

pub(crate) async fn a_paused_queue_begins_nothing_and_a_draining_one_takes_nothing(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let other = fixture.open().await;
    assert_eq!(queue.mode().await.unwrap(), Mode::Open);
    submit(&*queue, new_job("a")).await;
    queue.set_mode(Mode::Paused).await.unwrap();
    assert_eq!(other.mode().await.unwrap(), Mode::Paused);
    submit(&*other, new_job("a")).await;
    assert!(other.claim("w", &Lane::ALL, LONG).await.unwrap().is_none());
    let message = submit(&*queue, NewJob { lane: Lane::Webhook, ..new_job("webhooks") }).await;
    let claim = other.claim("w", &Lane::ALL, LONG).await.unwrap().expect("messages go out");
    assert_eq!(claim.job.id, message.id);
    queue.set_mode(Mode::Draining).await.unwrap();
    let refused = other.submit(new_job("a"), PLENTY).await;
    assert!(matches!(refused, Err(QueueError::Draining)), "{refused:?}");
    submit(&*queue, NewJob { lane: Lane::Webhook, ..new_job("webhooks") }).await;
    take(&*other).await;
    queue.set_mode(Mode::Open).await.unwrap();
    submit(&*other, new_job("a")).await;
    take(&*other).await;
}

pub(crate) async fn jobs_can_be_adopted_in_every_state(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let (old, new) = (owner("old"), owner("new"));
    let keyed = |of: &str, key: &str| {
        let idempotency = crate::job::Idempotency { key: key.into(), fingerprint: "same".into() };
        NewJob { bytes: 10, idempotency: Some(idempotency), ..new_job(of) }
    };
    let ended = submit(&*queue, keyed("old", "first")).await;
    let done = take(&*queue).await;
    let secret = JobId::random();
    change(&*queue, &ended, Change { share: Some(Some(link(&secret))), ..Default::default() }).await.unwrap();
    succeed(&*queue, &done).await;
    let running = submit(&*queue, keyed("old", "both")).await;
    let claim = take(&*queue).await;
    let waiting = submit(&*queue, new_job("old")).await;
    let own = submit(&*queue, keyed("new", "both")).await;

    assert_eq!(queue.adopt(&old, &new).await.unwrap(), 3);
    assert_eq!(queue.adopt(&old, &new).await.unwrap(), 0);
    assert_eq!(listed(&*queue, &old).await, []);
    let ids: Vec<JobId> = listed(&*queue, &new).await.into_iter().map(|job| job.id).collect();
    assert_eq!(ids, [&own, &waiting, &running, &ended].map(|job| job.id.clone()));
    assert_eq!(queue.get(&old, &ended.id).await.unwrap(), None);
    assert_eq!(queue.find(&ended.id).await.unwrap().unwrap().owner, new);
    assert_eq!(queue.find(&JobId::random()).await.unwrap(), None);
    assert_eq!(queue.shared(&secret).await.unwrap().unwrap().owner, new);
    // Idempotency keys move with their jobs; for a key that both owners used, the new owner's is kept.
    for (key, job) in [("first", &ended), ("both", &own)] {
        assert_eq!(submit(&*queue, keyed("new", key)).await.id, job.id, "{key}");
    }
    assert_ne!(submit(&*queue, keyed("old", "first")).await.id, ended.id);
    assert_eq!(queue.usage(&new).await.unwrap().kept_bytes, 30);
    assert_eq!(queue.usage(&old).await.unwrap().kept_bytes, 10);
    // The worker continues, and waiting jobs can be claimed.
    queue.renew(&claim.ticket, LONG).await.unwrap();
    assert_eq!(succeed(&*queue, &claim).await.owner, new);
    let mut claimed = Vec::new();
    for _ in 0..3 {
        let claim = take(&*queue).await;
        claimed.push(claim.job.id.clone());
        succeed(&*queue, &claim).await;
    }
    assert!(claimed.contains(&waiting.id) && claimed.contains(&own.id), "{claimed:?}");
    assert!(queue.claim("idle", SCENE, LONG).await.unwrap().is_none());
    // No owner counts as busy any more.
    let one = Admission { max_unfinished_per_owner: 1, ..PLENTY };
    for of in ["old", "new"] {
        queue.submit(new_job(of), one).await.unwrap();
    }
}

pub(crate) async fn jobs_of_several_owners_are_listed_as_one(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let mut ids = Vec::new();
    for number in 0..9 {
        ids.push(submit(&*queue, new_job(&format!("owner {}", number % 3))).await.id);
    }
    ids.reverse();
    let owners: Vec<Owner> = (0..3).map(|number| owner(&format!("owner {number}"))).collect();
    let page = async |owners: &[Owner], before: Option<JobId>| -> Vec<JobId> {
        let query = ListQuery { limit: 4, before, ..Default::default() };
        queue.list(owners, &query).await.unwrap().into_iter().map(|job| job.id).collect()
    };
    assert_eq!(page(&owners, None).await, ids[..4]);
    assert_eq!(page(&owners, Some(ids[3].clone())).await, ids[4..8]);
    assert_eq!(page(&owners, Some(ids[7].clone())).await, ids[8..]);
    let two: Vec<JobId> =
        ids.iter().enumerate().filter(|(place, _)| place % 3 != 0).map(|(_, id)| id.clone()).collect();
    assert_eq!(page(&owners[..2], None).await, two[..4]);
    assert_eq!(page(&[], None).await, []);
}
