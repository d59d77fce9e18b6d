//! One contract suite, run on every backend.
//!
//! A backend provides a [`Fixture`]: an isolated store that can be opened repeatedly, as by several processes. [`contract!`] makes
//! one test per promise.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod claims;
mod events;
mod notes;
mod order;
mod owners;
mod questions;
mod submission;

pub(crate) use claims::*;
pub(crate) use events::*;
pub(crate) use notes::*;
pub(crate) use order::*;
pub(crate) use owners::*;
pub(crate) use questions::*;
pub(crate) use submission::*;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Admission, Backoff, Claim, Ending, ListQuery, Queue, QueueError, Quota, Report};
use crate::code::Code;
use crate::job::{Job, JobId, JobKind, JobProblem, JobState, Lane, NewJob, Owner, Progress};

/// A store that queues can be opened on.
#[async_trait]
pub(crate) trait Fixture: Send + Sync {
    /// A queue with [`BACKOFF`] that requeues jobs as soon as their lease expires, with connections of its own.
    async fn open(&self) -> Arc<dyn Queue>;
}

/// Short enough for tests to wait, long enough to observe on a busy machine.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(600), longest: Duration::from_millis(900) };
/// A lease that does not expire during a test.
const LONG: Duration = Duration::from_secs(60);
/// A lease that expires.
const SHORT: Duration = Duration::from_millis(60);
pub(crate) const PLENTY: Admission =
    Admission { max_waiting: 10_000, max_unfinished_per_owner: 10_000, quota: Quota::NONE };
const SCENE: &[Lane] = &[Lane::Scene];

/// Makes a test of every promise, on the fixture that `$fixture` creates.
macro_rules! contract {
    ($fixture:expr; $($promise:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::queue::contract::$promise(&$fixture.await).await;
            }
        )*
    };
    ($fixture:expr) => {
        $crate::queue::contract::contract!($fixture;
            a_stale_worker_is_refused,
            a_lease_that_ran_out_holds_until_the_job_was_brought_back,
            attempts_are_counted_anew_after_progress,
            a_queue_knows_itself_and_what_it_deleted,
            a_renewed_lease_holds,
            a_lost_lease_counts_as_an_attempt_and_too_many_are_death,
            a_failure_that_may_pass_waits_and_at_last_is_death,
            a_failure_for_good_is_told,
            released_jobs_do_not_count_and_come_back_at_once,
            claimers_at_once_get_distinct_jobs,
            what_was_acknowledged_is_there_after_opening_again,
            tokens_grow_with_every_claim,
            priority_then_turns_then_first_in_first_out,
            the_owner_with_fewer_jobs_running_goes_first,
            lanes_do_not_wait_for_each_other,
            a_retried_job_goes_to_the_end_of_the_line,
            ahead_counts_what_is_claimed_before,
            depth_counts_lanes_and_states,
            queued_jobs_are_cancelled_at_once_and_running_ones_hear_of_it,
            a_cancelled_job_whose_worker_is_lost_or_gives_up_is_cancelled,
            owners_see_only_their_jobs,
            retry_begins_anew,
            delete_forgets_jobs_that_ended,
            lists_go_page_by_page,
            ended_jobs_are_named_by_time,
            events_have_no_gaps_under_concurrency,
            every_change_of_state_is_an_event,
            reports_are_kept,
            nonsense_numbers_do_no_harm,
            only_the_latest_events_are_kept,
            the_same_key_gives_the_same_job,
            the_same_key_at_once_gives_one_job,
            a_key_is_free_again_after_its_job_is_deleted,
            admission_holds_under_concurrency,
            a_job_is_stored_as_it_was_submitted,
            notes_outlive_attempts_and_are_the_owners,
            a_link_leads_to_its_job_until_it_is_revoked,
            pinned_jobs_do_not_expire,
            quotas_hold_and_tell_what_is_used,
            a_paused_queue_begins_nothing_and_a_draining_one_takes_nothing,
            jobs_can_be_adopted_in_every_state,
            jobs_of_several_owners_are_listed_as_one,
            questions_are_answered_in_order_and_once,
            a_job_is_not_asked_too_much_at_once,
        );
    };
}
pub(crate) use contract;

fn owner(name: &str) -> Owner {
    Owner(name.into())
}

pub(crate) fn new_job(of: &str) -> NewJob {
    NewJob {
        id: JobId::random(),
        owner: owner(of),
        kind: JobKind::Scene,
        lane: Lane::Scene,
        priority: 0,
        max_attempts: 3,
        spec: json!({"steps": 10}),
        bytes: 0,
        idempotency: None,
    }
}

fn problem(code: &str) -> JobProblem {
    JobProblem { code: code.into(), ..JobProblem::new(Code::Failed, "It went wrong.") }
}

async fn submit(queue: &dyn Queue, job: NewJob) -> Job {
    queue.submit(job, PLENTY).await.unwrap().job
}

/// Claims a scene with a long lease; panics if there is none.
async fn take(queue: &dyn Queue) -> Claim {
    queue.claim("worker", SCENE, LONG).await.unwrap().expect("a job waits")
}

/// Polls until a job can be claimed.
async fn take_soon(queue: &dyn Queue, lease: Duration) -> Claim {
    for _ in 0..500 {
        if let Some(claim) = queue.claim("worker", SCENE, lease).await.unwrap() {
            return claim;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no job came within five seconds");
}

async fn get(queue: &dyn Queue, job: &Job) -> Job {
    queue.get(&job.owner, &job.id).await.unwrap().expect("the job is there")
}

async fn succeed(queue: &dyn Queue, claim: &Claim) -> Job {
    queue.finish(&claim.ticket, Ending::Succeeded { result: json!({"psnr": 30.5}) }).await.unwrap()
}

/// The newest 50 jobs of an owner.
async fn listed(queue: &dyn Queue, of: &Owner) -> Vec<Job> {
    let query = ListQuery { limit: 50, ..Default::default() };
    queue.list(std::slice::from_ref(of), &query).await.unwrap()
}

/// A report of this progress.
fn progress(percent: f64) -> Report {
    let progress = Progress { percent, ..Default::default() };
    Report { progress: Some(progress), ..Default::default() }
}

fn assert_state_refused<T: std::fmt::Debug>(outcome: super::Result<T>, refused: JobState) {
    let Err(QueueError::WrongState { state }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(state, refused);
}

fn assert_lost<T: std::fmt::Debug>(outcome: super::Result<T>) {
    assert!(matches!(outcome, Err(QueueError::ClaimLost { .. })), "{outcome:?}");
}

async fn recorded_states(queue: &dyn Queue, id: &JobId) -> Vec<String> {
    let events = queue.events(id, 0, 1000).await.unwrap();
    let states = events.iter().filter(|event| event.kind == "state");
    states.map(|event| event.data["state"].as_str().unwrap().to_owned()).collect()
}

fn assert_ended(job: &Job, state: JobState) {
    assert_eq!(job.state, state, "{job:?}");
    assert!(job.finished_ms.is_some(), "{job:?}");
}
