//! Passes live view requests from the queue to the training process, and the views back: in a separate task, so that an
//! unresponsive queue delays nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::job::JobId;
use crate::look::LookView;
use crate::queue::{QUESTION_KEPT, Queue};
use crate::runner::ViewRequest;

/// Interval between checks for requests if there was none recently ...
const IDLE: Duration = Duration::from_millis(500);
/// ... and while a client is active.
const BUSY: Duration = Duration::from_millis(40);
/// How long after its last request a client counts as active.
const ACTIVE_FOR: Duration = Duration::from_secs(10);
/// Pause after the queue did not respond. Missed requests need not be retried.
const UNAVAILABLE: Duration = Duration::from_secs(2);

/// Connects the queue to a process; closed on drop.
pub(super) struct LiveViews {
    requests: Receiver<ViewRequest>,
    seen: Sender<(JobId, LookView)>,
    relaying: JoinHandle<()>,
}

impl Drop for LiveViews {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

impl LiveViews {
    pub(super) fn new(queue: &Arc<dyn Queue>, id: &JobId) -> Self {
        let (request_sender, requests) = channel(1);
        let (seen, views) = channel(1);
        let relaying = tokio::spawn(relay(Arc::clone(queue), id.clone(), request_sender, views));
        Self { requests, seen, relaying }
    }

    /// The next request to send to the process. Cancel-safe.
    pub(super) async fn next(&mut self) -> ViewRequest {
        match self.requests.recv().await {
            Some(ask) => ask,
            // The task ends only when this value is dropped.
            None => std::future::pending().await,
        }
    }

    /// Passes on a view from the process; dropped if nobody waits for it.
    pub(super) fn send(&self, id: JobId, view: LookView) {
        let _ = self.seen.try_send((id, view));
    }
}

async fn relay(
    queue: Arc<dyn Queue>,
    job: JobId,
    requests: Sender<ViewRequest>,
    mut views: Receiver<(JobId, LookView)>,
) {
    let mut last_request: Option<Instant> = None;
    loop {
        let question = match queue.next_question(&job).await {
            Ok(Some(question)) => question,
            Ok(None) => {
                let active = last_request.is_some_and(|at| at.elapsed() < ACTIVE_FOR);
                sleep(if active { BUSY } else { IDLE }).await;
                continue;
            }
            Err(error) => {
                tracing::debug!(%job, %error, "could not read requests for live views; will retry");
                sleep(UNAVAILABLE).await;
                continue;
            }
        };
        last_request = Some(Instant::now());
        // The service has already validated it; requests written by other versions may be unreadable and are ignored.
        let Ok(look) = serde_json::from_str(&question.text) else { continue };
        if requests.send(ViewRequest { id: question.id.clone(), look }).await.is_err() {
            return;
        }
        // One request at a time, so that several clients get their views in turn.
        let answered = timeout(QUESTION_KEPT, async {
            while let Some((id, view)) = views.recv().await {
                if id == question.id {
                    return Some(view);
                }
            }
            None
        });
        let Ok(Some(view)) = answered.await else { continue };
        let answer = serde_json::to_string(&view).unwrap_or_default();
        if let Err(error) = queue.answer(&question.id, answer).await {
            tracing::debug!(%job, %error, "could not pass on a live view");
        }
    }
}
