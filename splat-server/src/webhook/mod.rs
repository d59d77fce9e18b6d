//! Webhooks: a signed message to a client's server when a job has ended. Off by default.
//!
//! Each delivery is a job in its own lane, so that it survives crashes and is retried with growing delays. The message is signed
//! as `Splat-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 of `<seconds>.<body>` with the operator's secret. Receivers rely on this
//! form; the crate `standardwebhooks` writes another one. Private and loopback addresses are rejected after name resolution, for
//! the address that is then connected to; redirects are not followed.

mod address;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, redirect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

pub(crate) use address::MAX_URL_CHARS;
use address::{PublicOnly, check_url};

use crate::code::Code;
use crate::config::Config;
use crate::job::{Idempotency, Job, JobId, JobKind, JobProblem, JobState, Lane, NewJob, Owner, UnixMs};
use crate::queue::{Admission, Ending, Queue, QueueError, Quota, now_ms};

/// Number of attempts, with growing delays.
const ATTEMPTS: u32 = 8;
/// Timeout of a request; the delivery is then retried.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Spec of a delivery job.
#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    url: String,
    job: JobId,
}

/// The JSON message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JobEnded<'a> {
    /// Kind of the event.
    event: Happened,
    /// Id of the job.
    id: &'a str,
    /// What the job did.
    kind: JobKind,
    /// Final state of the job.
    state: JobState,
    /// Results of a job that succeeded.
    #[schema(value_type = Option<Object>)]
    result: Option<&'a serde_json::Value>,
    /// Why a job failed.
    problem: Option<&'a JobProblem>,
    /// URL of the job if the operator has configured `public_url`, otherwise its path.
    url: String,
}

/// Types of events.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub(crate) enum Happened {
    /// A job has ended.
    #[serde(rename = "job.ended")]
    JobEnded,
}

/// HTTP client that signs and posts webhooks.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    client: Client,
    secret: Arc<str>,
    /// Prefix of URLs; empty if not configured.
    public_url: Arc<str>,
    allow_private: bool,
}

impl Notifier {
    /// # Errors
    /// Errors of the TLS library.
    pub(crate) fn new(secret: &str, public_url: &str, allow_private: bool) -> Result<Self, reqwest::Error> {
        crate::tls::install_provider();
        let client = Client::builder()
            .dns_resolver(Arc::new(PublicOnly { allow_private }))
            // A proxy from the environment would resolve names itself, which bypasses the check of addresses.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("splat/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, secret: secret.into(), public_url: public_url.into(), allow_private })
    }

    /// Runs one attempt at a delivery job.
    pub(crate) async fn deliver(&self, queue: &dyn Queue, delivery: &Job) -> Ending {
        let problem = |message: String| JobProblem::new(Code::Webhook, message);
        let Ok(spec) = serde_json::from_value::<Delivery>(delivery.spec.clone()) else {
            return Ending::Failed(problem("the delivery cannot be read".into()));
        };
        let job = match queue.find(&spec.job).await {
            Ok(Some(job)) if job.state.is_final() => job,
            Ok(Some(_)) => return Ending::Retry(problem("the job has not ended yet".into())),
            Ok(None) => return Ending::Failed(problem("the job was deleted".into())),
            Err(error) => return Ending::Retry(problem(error.to_string())),
        };
        let message = JobEnded {
            event: Happened::JobEnded,
            id: job.id.as_str(),
            kind: job.kind,
            state: job.state,
            result: job.result.as_ref(),
            problem: job.problem.as_ref(),
            url: format!("{}/v1/jobs/{}", self.public_url, job.id),
        };
        let body = match serde_json::to_string(&message) {
            Ok(body) => body,
            Err(error) => return Ending::Failed(problem(format!("the message cannot be written: {error}"))),
        };
        match self.post(&spec.url, &delivery.id, body).await {
            Ok(()) => Ending::Succeeded { result: json!(null) },
            Err(why) => Ending::Retry(problem(why)),
        }
    }

    async fn post(&self, url: &str, id: &JobId, body: String) -> Result<(), String> {
        // Checked again, since a literal address is not resolved.
        let url = check_url(url, self.allow_private)?;
        let seconds = now_ms() / 1000;
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("splat-delivery", id.as_str())
            .header("splat-signature", format!("t={seconds},v1={}", signature(&self.secret, seconds, &body)))
            .body(body);
        let response = request.send().await.map_err(|error| error.without_url().to_string())?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("the receiver answered {}", response.status()))
        }
    }
}

/// Queues the webhooks of jobs that ended in this time range and whose webhook was not queued, because their worker died while
/// reporting the end, or with the last lease.
pub(crate) async fn catch_up(queue: &dyn Queue, mut when: Range<UnixMs>) -> Result<(), QueueError> {
    loop {
        let ended = queue.ended(when.clone()).await?;
        let mut last = None;
        for (_, id) in &ended {
            // It may have been deleted or retried in the meantime.
            let Some(job) = queue.find(id).await? else { continue };
            last = last.max(job.finished_ms);
            if job.state.is_final() {
                enqueue(queue, &job).await;
            }
        }
        match last {
            // Others may have ended in the same millisecond; those already seen are not queued twice.
            Some(last) if when.start < last => when.start = last,
            _ => return Ok(()),
        }
    }
}

/// Queues the webhook of a job that has ended, if it has one.
pub(crate) async fn enqueue(queue: &dyn Queue, job: &Job) {
    // Specs of scenes and gestures have it at the same path.
    let Some(url) = job.spec.pointer("/options/webhook").and_then(serde_json::Value::as_str) else { return };
    let delivery = Delivery { url: url.to_owned(), job: job.id.clone() };
    // One delivery per end of the job, however often it is queued; a retried job ends again later.
    let key = format!("{}-{}", job.id, job.finished_ms.unwrap_or(0));
    let new = NewJob {
        id: JobId::random(),
        owner: Owner("webhooks".into()),
        kind: JobKind::Webhook,
        lane: Lane::Webhook,
        priority: 0,
        max_attempts: ATTEMPTS,
        spec: json!(delivery),
        bytes: 0,
        idempotency: Some(Idempotency { fingerprint: key.clone(), key }),
    };
    let unlimited =
        Admission { max_waiting: u64::MAX >> 1, max_unfinished_per_owner: u64::MAX >> 1, quota: Quota::NONE };
    match queue.submit(new, unlimited).await {
        Ok(_) | Err(QueueError::KeyReused) => {}
        Err(error) => tracing::error!(job = %job.id, %error, "could not queue the webhook of a job"),
    }
}

/// The signature of a message.
fn signature(secret: &str, seconds: u64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Checks whether this service would send webhooks to that URL.
pub(crate) fn check(config: &Config, text: &str) -> Result<(), String> {
    if !config.webhooks {
        return Err("this service sends no webhooks; its operator can turn them on".into());
    }
    check_url(text, config.webhook_allow_private).map(drop)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
