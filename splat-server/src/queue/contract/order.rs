//! The order in which jobs are claimed.

use super::*;

async fn submit_named(queue: &dyn Queue, of: &str, name: &str, priority: i32) -> Job {
    submit(queue, NewJob { priority, spec: json!({"name": name}), ..new_job(of) }).await
}

fn name(claim: &Claim) -> String {
    claim.job.spec["name"].as_str().unwrap().to_owned()
}

/// Claims and ends jobs one after another.
async fn served(queue: &dyn Queue, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let claim = take(queue).await;
        names.push(name(&claim));
        succeed(queue, &claim).await;
    }
    names
}

pub(crate) async fn priority_then_turns_then_first_in_first_out(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    for number in 1..=4 {
        submit_named(&*queue, "a", &format!("a{number}"), 0).await;
    }
    submit_named(&*queue, "b", "b1", 0).await;
    submit_named(&*queue, "b", "b2", 0).await;
    submit_named(&*queue, "c", "c low", -5).await;
    submit_named(&*queue, "c", "c urgent", 10).await;
    submit_named(&*queue, "a", "a urgent", 10).await;
    let order = served(&*queue, 9).await;
    assert_eq!(order, ["c urgent", "a urgent", "b1", "a1", "b2", "a2", "a3", "a4", "c low"]);
    assert!(queue.claim("idle", SCENE, LONG).await.unwrap().is_none());
}

pub(crate) async fn the_owner_with_fewer_jobs_running_goes_first(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    for number in 1..=3 {
        submit_named(&*queue, "a", &format!("a{number}"), 0).await;
    }
    let first = take(&*queue).await;
    let second = take(&*queue).await;
    assert_eq!((name(&first), name(&second)), ("a1".into(), "a2".into()));
    for number in 1..=2 {
        submit_named(&*queue, "b", &format!("b{number}"), 0).await;
    }
    // `a` has two running; `b` gets two in a row.
    assert_eq!(name(&take(&*queue).await), "b1");
    assert_eq!(name(&take(&*queue).await), "b2");
    assert_eq!(name(&take(&*queue).await), "a3");
}

pub(crate) async fn lanes_do_not_wait_for_each_other(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let scene = submit(&*queue, NewJob { priority: 9, ..new_job("a") }).await;
    let gesture = submit(&*queue, NewJob { lane: Lane::Cpu, kind: JobKind::Gesture, ..new_job("a") }).await;
    let claim = queue.claim("cpu", &[Lane::Cpu], LONG).await.unwrap().unwrap();
    assert_eq!(claim.job.id, gesture.id);
    assert!(queue.claim("cpu", &[Lane::Cpu], LONG).await.unwrap().is_none());
    assert!(queue.claim("nothing", &[], LONG).await.unwrap().is_none());
    queue.finish(&claim.ticket, Ending::Released).await.unwrap();
    // Of two lanes, the higher priority is claimed first, in whatever order the lanes are given.
    let claim = queue.claim("both", &[Lane::Cpu, Lane::Scene], LONG).await.unwrap().unwrap();
    assert_eq!(claim.job.id, scene.id);
    let claim = queue.claim("both", &[Lane::Cpu, Lane::Scene], LONG).await.unwrap().unwrap();
    assert_eq!(claim.job.id, gesture.id);
}

pub(crate) async fn a_retried_job_goes_to_the_end_of_the_line(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let first = submit_named(&*queue, "a", "first", 0).await;
    served(&*queue, 1).await;
    submit_named(&*queue, "a", "second", 0).await;
    queue.retry(&first.owner, &first.id, json!({"name": "first again"})).await.unwrap().unwrap();
    // A requeued job keeps its place.
    let claim = take(&*queue).await;
    assert_eq!(name(&claim), "second");
    queue.finish(&claim.ticket, Ending::Released).await.unwrap();
    assert_eq!(served(&*queue, 2).await, ["second", "first again"]);
}

pub(crate) async fn ahead_counts_what_is_claimed_before(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let mut jobs = Vec::new();
    for (of, name, priority) in
        [("a", "a1", 0), ("a", "a2", 0), ("a", "a3", 0), ("b", "b1", 0), ("b", "b2", 0), ("c", "c1", 7)]
    {
        jobs.push(submit_named(&*queue, of, name, priority).await);
    }
    submit(&*queue, NewJob { lane: Lane::Cpu, ..new_job("a") }).await;
    let mut ahead = Vec::new();
    for job in &jobs {
        ahead.push(queue.ahead_of(&job.id).await.unwrap());
    }
    assert_eq!(ahead, [1, 3, 5, 2, 4, 0]);
    assert_eq!(served(&*queue, 6).await, ["c1", "a1", "b1", "a2", "b2", "a3"]);
    assert_eq!(queue.ahead_of(&jobs[0].id).await.unwrap(), 0, "it has ended");
    assert_eq!(queue.ahead_of(&JobId::random()).await.unwrap(), 0, "there is none");
}

pub(crate) async fn depth_counts_lanes_and_states(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let depths = |depth: Vec<crate::queue::Depth>| -> Vec<(Lane, u64, u64)> {
        depth.into_iter().map(|depth| (depth.lane, depth.queued, depth.running)).collect()
    };
    assert_eq!(
        depths(queue.depth().await.unwrap()),
        [(Lane::Scene, 0, 0), (Lane::Cpu, 0, 0), (Lane::Webhook, 0, 0)]
    );
    for _ in 0..3 {
        submit(&*queue, new_job("a")).await;
    }
    submit(&*queue, NewJob { lane: Lane::Cpu, ..new_job("b") }).await;
    let claim = take(&*queue).await;
    assert_eq!(
        depths(queue.depth().await.unwrap()),
        [(Lane::Scene, 2, 1), (Lane::Cpu, 1, 0), (Lane::Webhook, 0, 0)]
    );
    succeed(&*queue, &claim).await;
    let claim = take(&*queue).await;
    queue.finish(&claim.ticket, Ending::Retry(problem("passing"))).await.unwrap();
    assert_eq!(
        depths(queue.depth().await.unwrap()),
        [(Lane::Scene, 2, 0), (Lane::Cpu, 1, 0), (Lane::Webhook, 0, 0)]
    );
    queue.ping().await.unwrap();
}
