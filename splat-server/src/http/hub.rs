//! One look at the queue for each watched job, however many clients watch it.
//!
//! A feed reads a job's events while anybody listens, renders each once as server-sent event, and hands the same bytes to all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use tokio::sync::watch;

use crate::job::{JobEvent, JobId, Owner, Progress};
use crate::queue::{self, Queue};

/// How often a watched job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Events read at once.
const BATCH: u32 = 500;

/// The feeds of all watched jobs.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    queue: Arc<dyn Queue>,
    feeds: Arc<Mutex<HashMap<JobId, Weak<Feed>>>>,
}

/// What is known of a watched job.
#[derive(Debug)]
pub(super) struct Feed {
    id: JobId,
    owner: Owner,
    events: RwLock<Vec<(u64, Bytes)>>,
    seen: watch::Sender<Seen>,
}

/// How far a feed has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The last event's number.
    pub(super) last: u64,
    /// Whether the job has ended, with no event to follow.
    pub(super) ended: bool,
}

impl Hub {
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, feeds: Arc::default() }
    }

    /// The feed of a job, which the caller has found to be `owner`'s. It lives as long as somebody holds it.
    pub(super) fn feed(&self, owner: &Owner, id: &JobId) -> Arc<Feed> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(id).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let (seen, _) = watch::channel(Seen::default());
        let feed = Arc::new(Feed { id: id.clone(), owner: owner.clone(), events: RwLock::default(), seen });
        feeds.insert(id.clone(), Arc::downgrade(&feed));
        tokio::spawn(follow(Arc::clone(&self.queue), Arc::downgrade(&feed)));
        feed
    }
}

impl Feed {
    /// Tells when there is more.
    pub(super) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Events after a number, in one piece; with the last one's number.
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

    /// Reads what is new; whether there was anything.
    async fn look(&self, queue: &dyn Queue) -> queue::Result<bool> {
        let last = self.seen.borrow().last;
        let events = queue.events(&self.id, last, BATCH).await?;
        if events.is_empty() && last > 0 && self.seen.borrow().ended {
            return Ok(false);
        }
        let job = queue.get(&self.owner, &self.id).await?;
        let progress = job.as_ref().map(|job| job.progress.clone()).unwrap_or_default();
        let any = !events.is_empty();
        let rendered: Vec<_> =
            events.iter().map(|event| (event.sequence, render(event, &progress))).collect();
        let newest = rendered.last().map_or(last, |(sequence, _)| *sequence);
        // An end counts only once its own event was read.
        let ended = match (&job, events.last()) {
            (None, _) => true,
            (Some(job), Some(event)) => {
                job.state.is_final() && event.kind == "state" && events.len() < BATCH as usize
            }
            (Some(job), None) => job.state.is_final() && last > 0,
        };
        self.events.write().unwrap_or_else(PoisonError::into_inner).extend(rendered);
        self.seen.send_if_modified(|seen| {
            let new = Seen { last: newest, ended };
            std::mem::replace(seen, new) != new
        });
        Ok(any)
    }
}

/// Looks again and again until nobody listens.
async fn follow(queue: Arc<dyn Queue>, feed: Weak<Feed>) {
    while let Some(feed) = feed.upgrade() {
        let more = feed.look(&*queue).await;
        drop(feed);
        match more {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => {
                tracing::warn!(%error, "the events of a job cannot be read now; trying again");
                tokio::time::sleep(LOOK_EVERY * 10).await;
            }
        }
    }
}

/// An event as server-sent event, with the job's progress as of now.
fn render(event: &JobEvent, progress: &Progress) -> Bytes {
    let mut value = json!(event);
    if let Some(object) = value.as_object_mut() {
        object.insert("progress".into(), json!(progress));
    }
    // JSON has no line breaks of its own, and an event's kind is a word of ours.
    format!("id: {}\nevent: {}\ndata: {value}\n\n", event.sequence, event.kind).into()
}
