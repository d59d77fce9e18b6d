//! Webhooks: a signed message to a client's server when a job has ended. Off unless the operator turns them on.
//!
//! Each is a job in a lane of its own, so that it survives crashes and is tried again with growing waits. The message is
//! signed as `Splat-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 of `<seconds>.<body>` with the operator's secret.
//! Private and loopback addresses are refused after the name is resolved, for the address that is then connected to;
//! redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use crate::config::Config;
use crate::job::{Idempotency, Job, JobId, JobKind, JobProblem, JobState, Lane, NewJob, Owner, UnixMs};
use crate::queue::{Admission, Ending, Queue, QueueError, Quota, now_ms};

/// Attempts, with growing waits between them.
const ATTEMPTS: u32 = 8;
/// A receiver that takes longer is tried again later.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest address, in characters.
pub(crate) const MAX_URL_CHARS: usize = 2_000;

/// What a delivery job is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    url: String,
    job: JobId,
}

/// What a receiver gets as JSON.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JobEnded<'a> {
    /// Kind of the event.
    event: Happened,
    /// Id of the job.
    id: &'a str,
    /// What the job makes.
    kind: JobKind,
    /// Final state of the job.
    state: JobState,
    /// Figures of a job that succeeded.
    #[schema(value_type = Option<Object>)]
    result: Option<&'a serde_json::Value>,
    /// Why a job failed.
    problem: Option<&'a JobProblem>,
    /// Where the job is: whole, where the operator has said how the service is reached (`public_url`), and otherwise the path on it.
    url: String,
}

/// Events that receivers get.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub(crate) enum Happened {
    /// A job has come to its end.
    #[serde(rename = "job.ended")]
    JobEnded,
}

/// HTTP client that signs and posts webhooks.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    client: Client,
    secret: Arc<str>,
    /// What stands before the paths of the service; empty where that is not known.
    public_url: Arc<str>,
    allow_private: bool,
}

impl Notifier {
    /// # Errors
    /// The TLS library's, where it cannot be set up.
    pub(crate) fn new(secret: &str, public_url: &str, allow_private: bool) -> Result<Self, reqwest::Error> {
        crate::tls::install_provider();
        let client = Client::builder()
            .dns_resolver(Arc::new(PublicOnly { allow_private }))
            // A proxy of the environment would resolve names itself, past the check of addresses.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("splat/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, secret: secret.into(), public_url: public_url.into(), allow_private })
    }

    /// One attempt at a delivery job.
    pub(crate) async fn deliver(&self, queue: &dyn Queue, delivery: &Job) -> Ending {
        let problem = |message: String| JobProblem { code: "webhook".into(), message, hint: None };
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
        // Checked again: an address given as a number is not resolved.
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

/// Queues the webhooks of jobs that ended at these times and whose webhooks nobody queued: their worker died with its last word, or with
/// their last lease.
pub(crate) async fn catch_up(queue: &dyn Queue, mut when: Range<UnixMs>) -> Result<(), QueueError> {
    loop {
        let ended = queue.ended(when.clone()).await?;
        let mut last = None;
        for (_, id) in &ended {
            // It may have been deleted or tried again meanwhile.
            let Some(job) = queue.find(id).await? else { continue };
            last = last.max(job.finished_ms);
            if job.state.is_final() {
                enqueue(queue, &job).await;
            }
        }
        match last {
            // Others may have ended in the same millisecond; those that were seen are not queued twice.
            Some(last) if when.start < last => when.start = last,
            _ => return Ok(()),
        }
    }
}

/// Queues the webhook of a job that has ended, if it has one.
pub(crate) async fn enqueue(queue: &dyn Queue, job: &Job) {
    // Scenes and gestures keep it in the same place.
    let Some(url) = job.spec.pointer("/options/webhook").and_then(serde_json::Value::as_str) else { return };
    let delivery = Delivery { url: url.to_owned(), job: job.id.clone() };
    // The same end is delivered once, however often it is queued; a retried job's next end is another.
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

/// The signature that receivers check.
fn signature(secret: &str, seconds: u64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Whether this service sends webhooks to that URL, or why not.
pub(crate) fn check(config: &Config, text: &str) -> Result<(), String> {
    if !config.webhooks {
        return Err("this service sends no webhooks; its operator can turn them on".into());
    }
    check_url(text, config.webhook_allow_private).map(drop)
}

/// The URL, if a webhook may go there as far as its text shows.
pub(crate) fn check_url(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > MAX_URL_CHARS {
        return Err(format!("a webhook's URL has at most {MAX_URL_CHARS} characters"));
    }
    let url = Url::parse(text).map_err(|error| format!("the webhook's URL cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("a webhook's URL begins with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a webhook's URL must not hold a password; the signature tells who sent it".into());
    }
    let literal = match url.host() {
        Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    };
    if !allow_private && literal.is_some_and(|ip| !is_public(ip)) {
        return Err("a webhook must not go to a private or local address".into());
    }
    Ok(url)
}

/// Resolves names, and gives only addresses of the public internet.
struct PublicOnly {
    allow_private: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name leads to private or local addresses only".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet (IANA's special-purpose registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_broadcast()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    // Addresses that lead to an IPv4 one are judged by that: mapped, NAT64 and 6to4.
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(ip) = ip.to_ipv4_mapped() {
        return is_public_v4(ip);
    }
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Documentation, benchmarking, Teredo and the rest of the special block.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, ..] => false,
        // Global unicast is 2000::/3.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::queue::contract::{PLENTY, new_job};
    use crate::queue::{ListQuery, SqliteQueue};

    /// A worker that dies with the last lease of its job queues no webhook; every end is delivered once all the same.
    #[tokio::test]
    async fn ends_that_nobody_told_of_are_caught_up_with() {
        let dir = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap().with_grace(Duration::ZERO);
        let owner = Owner::local();
        let scene = |webhook: bool| NewJob {
            owner: owner.clone(),
            max_attempts: 1,
            spec: if webhook { json!({"options": {"webhook": "https://example.com/"}}) } else { json!({}) },
            ..new_job("a")
        };
        let deliveries = async || {
            let query = ListQuery { limit: 9, ..ListQuery::default() };
            queue.list(&[Owner("webhooks".into())], &query).await.unwrap().len()
        };
        queue.submit(scene(false), PLENTY).await.unwrap();
        let job = queue.submit(scene(true), PLENTY).await.unwrap().job;
        let lease = Duration::from_millis(50);
        for _ in 0..2 {
            queue.claim("dies", &[Lane::Scene], lease).await.unwrap().unwrap();
        }
        tokio::time::sleep(2 * lease).await;
        catch_up(&queue, 0..UnixMs::MAX).await.unwrap();
        assert_eq!(deliveries().await, 1);
        // Receivers that are gone hold up nothing but messages.
        assert!(queue.claim("gestures", &[Lane::Cpu], lease).await.unwrap().is_none());

        catch_up(&queue, 0..UnixMs::MAX).await.unwrap();
        enqueue(&queue, &queue.get(&owner, &job.id).await.unwrap().unwrap()).await;
        assert_eq!(deliveries().await, 1, "one end is told once");

        for told in 2..4 {
            queue.retry(&owner, &job.id, scene(true).spec).await.unwrap().unwrap();
            // Two ends within a millisecond would be one.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let ended = queue.cancel(&owner, &job.id).await.unwrap().unwrap();
            enqueue(&queue, &ended).await;
            assert_eq!(deliveries().await, told, "the next end is another, though it was never begun");
        }
    }

    /// A job may have another owner by the time its receiver answers.
    #[tokio::test]
    async fn the_end_of_a_job_that_was_adopted_meanwhile_is_told() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", receiver.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap();
        let spec = json!({"options": {"webhook": url}});
        let job = queue.submit(NewJob { spec, ..new_job("old") }, PLENTY).await.unwrap().job;
        let ended = queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
        enqueue(&queue, &ended).await;
        queue.adopt(&job.owner, &Owner("new".into())).await.unwrap();
        let lease = Duration::from_secs(60);
        let delivery = queue.claim("teller", &[Lane::Webhook], lease).await.unwrap().unwrap();
        let told = tokio::spawn(async move {
            let (mut stream, _) = receiver.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}") {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it says no more");
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(bytes).unwrap()
        });
        let ending = Notifier::new("secret", "", true).unwrap().deliver(&queue, &delivery.job).await;
        assert!(matches!(ending, Ending::Succeeded { .. }), "{ending:?}");
        assert!(told.await.unwrap().contains(job.id.as_str()));
    }

    #[test]
    fn only_public_addresses_are_reached() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2a00:1450::1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn urls_that_hide_an_address_are_seen_through() {
        for text in [
            "http://127.0.0.1/x",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:8080/",
            "http://[::ffff:10.0.0.1]/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://user:pw@example.com/",
            "example.com",
            "",
        ] {
            assert!(check_url(text, false).is_err(), "{text}");
        }
        assert!(check_url("https://hooks.example.com/a?b=c", false).is_ok());
        assert!(check_url("http://127.0.0.1:9/x", true).is_ok());
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let resolver = PublicOnly { allow_private: false };
        assert!(resolver.resolve("localhost".parse().unwrap()).await.is_err());
        let open = PublicOnly { allow_private: true };
        assert!(open.resolve("localhost".parse().unwrap()).await.is_ok());
    }

    /// RFC 4231's second test case, with the time and the dot in front of the body taken into account.
    #[test]
    fn signatures_are_hmac_sha256() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(mac.finalize().into_bytes()), known);
        assert_ne!(signature("a", 1, "x"), signature("a", 2, "x"));
        assert_ne!(signature("a", 1, "x"), signature("b", 1, "x"));
    }
}
