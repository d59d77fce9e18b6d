//! Events of a job.

use super::*;
use crate::job::{Artifact, NewEvent};

fn event(message: &str) -> NewEvent {
    NewEvent {
        kind: "progress".into(),
        stage: Some("train".into()),
        percent: 12.5,
        message: message.into(),
        data: json!({"loss": 0.125, "nothing": [], "step": 12_345_678_901_234_567_u64}),
    }
}

pub(crate) async fn events_have_no_gaps_under_concurrency(fixture: &dyn Fixture) {
    let (one, two) = (fixture.open().await, fixture.open().await);
    let job = submit(&*one, new_job("a")).await;
    let claim = take(&*one).await;
    let reporters = (0..40).map(|number| {
        let queue = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        let ticket = claim.ticket.clone();
        tokio::spawn(async move {
            let events = vec![event(&format!("{number} first")), event(&format!("{number} second"))];
            queue.report(&ticket, Report { events, ..Default::default() }).await.unwrap();
        })
    });
    for reporter in reporters.collect::<Vec<_>>() {
        reporter.await.unwrap();
    }
    let events = one.events(&job.id, 0, 1000).await.unwrap();
    // Two state changes came before.
    assert_eq!(events.len(), 82);
    assert!(events.iter().map(|event| event.sequence).eq(1..=82));
    assert!(events.is_sorted_by_key(|event| event.at_ms));
    for number in 0..40 {
        let at = events.iter().position(|event| event.message == format!("{number} first")).unwrap();
        assert_eq!(events[at + 1].message, format!("{number} second"), "those of one report stay together");
    }
    // In batches, as pollers read.
    let mut read = Vec::new();
    while let [.., _] = one.events(&job.id, u64::try_from(read.len()).unwrap(), 7).await.unwrap().as_slice() {
        let after = u64::try_from(read.len()).unwrap();
        read.extend(one.events(&job.id, after, 7).await.unwrap());
    }
    assert_eq!(read, events);
    assert_eq!(one.events(&job.id, 82, 10).await.unwrap(), []);
    assert_eq!(one.events(&job.id, u64::MAX, 10).await.unwrap(), []);
    assert_eq!(one.events(&JobId::random(), 0, 10).await.unwrap(), []);
}

pub(crate) async fn every_change_of_state_is_an_event(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;
    queue.finish(&claim.ticket, Ending::Released).await.unwrap();
    let claim = take(&*queue).await;
    queue.finish(&claim.ticket, Ending::Retry(problem("passing"))).await.unwrap();
    let claim = take_soon(&*queue, LONG).await;
    let progress = Progress { stage: Some("train".into()), percent: 40.0, ..Default::default() };
    queue.report(&claim.ticket, Report { progress: Some(progress), ..Default::default() }).await.unwrap();
    queue.finish(&claim.ticket, Ending::Failed(problem("broken"))).await.unwrap();
    queue.retry(&job.owner, &job.id, json!({})).await.unwrap().unwrap();
    succeed(&*queue, &take(&*queue).await).await;
    assert_eq!(
        recorded_states(&*queue, &job.id).await,
        [
            "queued",
            "running",
            "queued",
            "running",
            "queued",
            "running",
            "failed",
            "queued",
            "running",
            "succeeded"
        ]
    );
    let events = queue.events(&job.id, 0, 100).await.unwrap();
    assert_eq!((events[6].stage.as_deref(), events[6].percent), (Some("train"), 40.0));
    assert_eq!(events[9].percent, 100.0);
    assert!(events.iter().all(|event| event.at_ms >= job.created_ms));
}

pub(crate) async fn reports_are_kept(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;
    let artifact = |name: &str, bytes| Artifact {
        name: name.into(),
        path: format!("output/{name}"),
        bytes,
        content_type: "text/plain".into(),
    };
    let progress = Progress {
        stage: Some("train".into()),
        percent: 33.25,
        eta_s: Some(12.5),
        step: Some(10),
        steps: Some(30_000),
        loss: Some(0.125),
        psnr: Some(27.1),
        gaussians: Some(123_456),
    };
    let first = Report {
        progress: Some(progress.clone()),
        events: vec![event("한국어 and \"quotes\"\n")],
        artifacts: vec![artifact("preview.png", 10), artifact("log.txt", 20)],
        bytes: Some(31),
    };
    queue.report(&claim.ticket, first).await.unwrap();
    let second =
        Report { artifacts: vec![artifact("preview.png", 11), artifact("a.ply", 5)], ..Default::default() };
    queue.report(&claim.ticket, second).await.unwrap();

    let now = get(&*queue, &job).await;
    assert_eq!((&now.progress, now.bytes), (&progress, 31));
    assert_eq!(now.artifacts, [artifact("preview.png", 11), artifact("log.txt", 20), artifact("a.ply", 5)]);
    let events = queue.events(&job.id, 2, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    let sent = event("한국어 and \"quotes\"\n");
    assert_eq!(
        (&events[0].kind, &events[0].stage, events[0].percent),
        (&sent.kind, &sent.stage, sent.percent)
    );
    assert_eq!((&events[0].message, &events[0].data), (&sent.message, &sent.data));
    let done = succeed(&*queue, &claim).await;
    assert_eq!((done.progress.percent, done.progress.eta_s, done.artifacts.len()), (100.0, None, 3));
    assert_eq!(get(&*queue, &job).await, done);
}

pub(crate) async fn nonsense_numbers_do_no_harm(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, NewJob { max_attempts: 0, ..new_job("a") }).await;
    assert_eq!(job.max_attempts, 1);
    let claim = take(&*queue).await;
    for (percent, kept) in [(f64::NAN, 0.0), (f64::INFINITY, 100.0), (-3.0, 0.0)] {
        let progress =
            Progress { percent, loss: Some(f32::NAN), eta_s: Some(f64::INFINITY), ..Default::default() };
        let events = vec![NewEvent { percent, ..event("nonsense") }];
        queue
            .report(&claim.ticket, Report { progress: Some(progress), events, ..Default::default() })
            .await
            .unwrap();
        let now = get(&*queue, &job).await;
        assert_eq!((now.progress.percent, now.progress.loss, now.progress.eta_s), (kept, None, None));
        assert_eq!(queue.events(&job.id, 0, 100).await.unwrap().pop().unwrap().percent, kept);
    }
}

pub(crate) async fn only_the_latest_events_are_kept(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let job = submit(&*queue, new_job("a")).await;
    let claim = take(&*queue).await;
    let total = crate::queue::EVENTS_KEPT + 500;
    let mut sent = 2;
    while sent < total {
        let events: Vec<NewEvent> = (0..500.min(total - sent)).map(|_| event("one of many")).collect();
        sent += u64::try_from(events.len()).unwrap();
        queue.report(&claim.ticket, Report { events, ..Default::default() }).await.unwrap();
    }
    let oldest = queue.events(&job.id, 0, 1).await.unwrap();
    assert_eq!(oldest[0].sequence, 501);
    let newest = queue.events(&job.id, total - 1, 10).await.unwrap();
    assert_eq!(newest.len(), 1);
    assert_eq!(newest[0].sequence, total);
}
