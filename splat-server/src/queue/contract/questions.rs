//! Questions to running jobs, and their answers.

use super::*;
use crate::queue::{QUESTIONS_AT_ONCE, Question};

fn question(text: &str) -> Question {
    Question { id: JobId::random(), text: text.into() }
}

pub(crate) async fn questions_are_answered_in_order_and_once(fixture: &dyn Fixture) {
    // The service and the worker are separate processes.
    let (service, worker) = (fixture.open().await, fixture.open().await);
    let (job, other) = (JobId::random(), JobId::random());
    assert_eq!(worker.next_question(&job).await.unwrap(), None);
    let questions = [question("first: {\"a\":1}"), question("둘째"), question("first: {\"a\":1}")];
    for question in &questions {
        service.ask(&job, question.clone()).await.unwrap();
        assert_eq!(service.take_answer(&question.id).await.unwrap(), None);
    }
    assert_eq!(worker.next_question(&other).await.unwrap(), None, "it was another job that was asked");
    for asked in &questions {
        assert_eq!(worker.next_question(&job).await.unwrap().as_ref(), Some(asked));
    }
    assert_eq!(worker.next_question(&job).await.unwrap(), None);
    worker.answer(&questions[1].id, "so".into()).await.unwrap();
    worker.answer(&questions[0].id, "x".repeat(300_000)).await.unwrap();
    assert_eq!(service.take_answer(&questions[2].id).await.unwrap(), None);
    assert_eq!(
        service.take_answer(&questions[0].id).await.unwrap().map(|answer| answer.len()),
        Some(300_000)
    );
    assert_eq!(service.take_answer(&questions[1].id).await.unwrap().as_deref(), Some("so"));
    assert_eq!(service.take_answer(&questions[1].id).await.unwrap(), None);
}

pub(crate) async fn a_job_is_not_asked_too_much_at_once(fixture: &dyn Fixture) {
    let queue = fixture.open().await;
    let (job, other) = (JobId::random(), JobId::random());
    for _ in 0..QUESTIONS_AT_ONCE {
        queue.ask(&job, question("?")).await.unwrap();
    }
    let refused = queue.ask(&job, question("?")).await;
    let Err(QueueError::TooManyQuestions { waiting }) = refused else { panic!("{refused:?}") };
    assert_eq!(waiting, QUESTIONS_AT_ONCE);
    queue.ask(&other, question("?")).await.unwrap();
    assert!(queue.next_question(&job).await.unwrap().is_some());
    queue.ask(&job, question("?")).await.unwrap();
}
