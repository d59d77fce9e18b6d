//! From who looks at a scene to the process that trains it, and back: in a task of its own, so that a queue that does not answer holds up
//! nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::job::JobId;
use crate::look::LookView;
use crate::queue::{QUESTION_KEPT, Queue};
use crate::runner::Ask;

/// How often the queue is looked at where nobody has asked for a while ...
const IDLE: Duration = Duration::from_millis(500);
/// ... and while somebody looks around.
const BUSY: Duration = Duration::from_millis(40);
/// Who asked so long ago has gone.
const LOOKS_AROUND: Duration = Duration::from_secs(10);
/// Rest after the queue did not answer; the next ask is as good as this one.
const UNAVAILABLE: Duration = Duration::from_secs(2);

/// The way between the queue and a process; closed with the value.
pub(super) struct Looks {
    asks: Receiver<Ask>,
    seen: Sender<(JobId, LookView)>,
    relaying: JoinHandle<()>,
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

impl Looks {
    pub(super) fn at(queue: &Arc<dyn Queue>, id: &JobId) -> Self {
        let (ask, asks) = channel(1);
        let (seen, views) = channel(1);
        let relaying = tokio::spawn(relay(Arc::clone(queue), id.clone(), ask, views));
        Self { asks, seen, relaying }
    }

    /// What the process is to be asked next. Safe to drop half-way.
    pub(super) async fn next(&mut self) -> Ask {
        match self.asks.recv().await {
            Some(ask) => ask,
            // The task ends with this value only.
            None => std::future::pending().await,
        }
    }

    /// Passes on what the process answered. One that nobody waits for any more is dropped.
    pub(super) fn seen(&self, id: JobId, view: LookView) {
        let _ = self.seen.try_send((id, view));
    }
}

async fn relay(queue: Arc<dyn Queue>, job: JobId, asks: Sender<Ask>, mut views: Receiver<(JobId, LookView)>) {
    let mut asked: Option<Instant> = None;
    loop {
        let question = match queue.next_question(&job).await {
            Ok(Some(question)) => question,
            Ok(None) => {
                let looks_around = asked.is_some_and(|at| at.elapsed() < LOOKS_AROUND);
                sleep(if looks_around { BUSY } else { IDLE }).await;
                continue;
            }
            Err(error) => {
                tracing::debug!(%job, %error, "who looks at a job cannot be heard now");
                sleep(UNAVAILABLE).await;
                continue;
            }
        };
        asked = Some(Instant::now());
        // The service has read it before; what another version of it wrote is not answered.
        let Ok(look) = serde_json::from_str(&question.text) else { continue };
        if asks.send(Ask { id: question.id.clone(), look }).await.is_err() {
            return;
        }
        // One at a time: of several who look, each has the next picture in turn.
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
            tracing::debug!(%job, %error, "a picture of a job could not be passed on");
        }
    }
}
