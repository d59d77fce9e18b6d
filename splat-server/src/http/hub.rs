//! Polls the queue once for each watched job, however many clients watch it.
//!
//! While it has subscribers, a feed polls a job's events, renders each once as a server-sent event, and hands the same bytes to
//! all. Status requests for a running job are meanwhile answered from the feed's last poll, which is never older than the last
//! event sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::view::{JobView, ViewContext};
use crate::job::{Job, JobEvent, JobId, JobState, Owner, Progress};
use crate::queue::{self, Queue};

/// Interval between polls of a watched job.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A cached view expires after this time, in case later polls have failed.
const NEWS_FOR: Duration = Duration::from_secs(1);
/// Events read per query.
const BATCH: u32 = 500;

/// The feeds of all watched jobs.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    queue: Arc<dyn Queue>,
    feeds: Arc<Mutex<HashMap<JobId, Weak<Feed>>>>,
    context: Arc<ViewContext>,
}

/// State of a watched job.
#[derive(Debug)]
pub(super) struct Feed {
    id: JobId,
    owner: Owner,
    events: RwLock<Vec<(u64, Bytes)>>,
    seen: watch::Sender<Seen>,
    /// The running job as of the last poll, as JSON.
    running: Mutex<Option<(Instant, Bytes)>>,
    /// Counts changes made through this service: the result of a poll that began before a change must not be cached after it.
    changes: AtomicU64,
    context: Arc<ViewContext>,
}

/// Progress of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Number of the last event.
    pub(super) last: u64,
    /// Whether the job has ended and no event follows.
    pub(super) ended: bool,
}

impl Hub {
    pub(super) fn new(queue: Arc<dyn Queue>, context: ViewContext) -> Self {
        Self { queue, feeds: Arc::default(), context: Arc::new(context) }
    }

    /// Settings for views of jobs.
    pub(super) fn context(&self) -> &ViewContext {
        &self.context
    }

    fn known(&self, id: &JobId) -> Option<Arc<Feed>> {
        let feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.get(id).and_then(Weak::upgrade)
    }

    /// The cached job as JSON, if it belongs to `owner`, is running, and is being watched.
    pub(super) fn running(&self, owner: &Owner, id: &JobId) -> Option<Bytes> {
        let feed = self.known(id).filter(|feed| feed.owner == *owner)?;
        let running = feed.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().filter(|(at, _)| at.elapsed() < NEWS_FOR).map(|(_, job)| job.clone())
    }

    /// Invalidates the cached view of a job that has changed.
    pub(super) fn changed(&self, id: &JobId) {
        if let Some(feed) = self.known(id) {
            let mut running = feed.running.lock().unwrap_or_else(PoisonError::into_inner);
            feed.changes.fetch_add(1, Ordering::Relaxed);
            *running = None;
        }
    }

    /// The feed of a job, which the caller has verified to be `owner`'s. It exists as long as it is referenced.
    pub(super) fn feed(&self, owner: &Owner, id: &JobId) -> Arc<Feed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(id).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let (seen, _) = watch::channel(Seen::default());
        let feed = Arc::new(Feed {
            id: id.clone(),
            owner: owner.clone(),
            events: RwLock::default(),
            seen,
            running: Mutex::default(),
            changes: AtomicU64::new(0),
            context: Arc::clone(&self.context),
        });
        feeds.insert(id.clone(), Arc::downgrade(&feed));
        tokio::spawn(follow(Arc::clone(&self.queue), Arc::downgrade(&feed)));
        feed
    }
}

impl Feed {
    /// Notified when there are new events.
    pub(super) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Events after a number, concatenated; with the last one's number.
    pub(super) fn after(&self, number: u64) -> (u64, Bytes) {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        let first = events.partition_point(|(sequence, _)| *sequence <= number);
        match &events[first..] {
            [] => (number, Bytes::new()),
            [(last, only)] => (*last, only.clone()),
            more => {
                let bytes: Vec<u8> = more.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
                (more.last().map_or(number, |(last, _)| *last), bytes.into())
            }
        }
    }

    /// Polls for new events; returns whether there were any.
    async fn poll(&self, queue: &dyn Queue) -> queue::Result<bool> {
        let last = self.seen.borrow().last;
        let changes = self.changes.load(Ordering::Relaxed);
        let events = queue.events(&self.id, last, BATCH).await?;
        if events.is_empty() && last > 0 && self.seen.borrow().ended {
            return Ok(false);
        }
        let job = queue.get(&self.owner, &self.id).await?;
        let progress = job.as_ref().map(|job| job.progress.clone()).unwrap_or_default();
        let any = !events.is_empty();
        let rendered: Vec<_> = events
            .iter()
            .map(|event| (event.sequence, render(event, &progress, &self.context.base)))
            .collect();
        let newest = rendered.last().map_or(last, |(sequence, _)| *sequence);
        // The end counts only once its own event was read.
        let ended = match (&job, events.last()) {
            (None, _) => true,
            (Some(job), Some(event)) => {
                job.state.is_final() && event.kind == "state" && events.len() < BATCH as usize
            }
            (Some(job), None) => job.state.is_final() && last > 0,
        };
        self.events.write().unwrap_or_else(PoisonError::into_inner).extend(rendered);
        self.note(job, changes);
        self.seen.send_if_modified(|seen| {
            let new = Seen { last: newest, ended };
            std::mem::replace(seen, new) != new
        });
        Ok(any)
    }

    /// Caches the job that a poll returned, unless the job was changed since the poll began (at counter `changes`).
    fn note(&self, job: Option<Job>, changes: u64) {
        let running = job.filter(|job| job.state == JobState::Running).and_then(|job| {
            let view = serde_json::to_vec(&JobView::of(job, None, &self.context)).ok()?;
            Some((Instant::now(), Bytes::from(view)))
        });
        let mut kept = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = running.filter(|_| self.changes.load(Ordering::Relaxed) == changes);
    }
}

/// Polls until nobody is subscribed.
async fn follow(queue: Arc<dyn Queue>, feed: Weak<Feed>) {
    while let Some(feed) = feed.upgrade() {
        let more = feed.poll(&*queue).await;
        drop(feed);
        match more {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => {
                tracing::warn!(%error, "could not read the events of a job; will retry");
                tokio::time::sleep(LOOK_EVERY * 10).await;
            }
        }
    }
}

/// Renders an event as a server-sent event, with the job's current progress, and `base` prefixed to paths.
fn render(event: &JobEvent, progress: &Progress, base: &str) -> Bytes {
    let mut value = json!(event);
    // Workers report files by their paths on the service.
    if let Some(Value::String(url)) = value.pointer_mut("/data/url")
        && url.starts_with('/')
    {
        url.insert_str(0, base);
    }
    if let Some(object) = value.as_object_mut() {
        object.insert("progress".into(), json!(progress));
    }
    // JSON contains no raw line breaks, and event kinds are fixed words.
    format!("id: {}\nevent: {}\ndata: {value}\n\n", event.sequence, event.kind).into()
}
