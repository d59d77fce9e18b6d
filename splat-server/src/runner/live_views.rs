//! Live views of the training scene: requests to this process and responses from it.

use std::sync::{Arc, Mutex, PoisonError};

use splat_core::pipeline::{Look, Picture, Viewer};

use super::{Line, ViewRequest};
use crate::job::JobId;
use crate::look::LookView;

/// The latest pending request: the worker sends another one only after it has given up the previous one. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingRequest(Arc<Mutex<Option<ViewRequest>>>);

impl PendingRequest {
    pub(super) fn set(&self, request: ViewRequest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
    }

    fn take(&self) -> Option<ViewRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Connects live views to the pipeline.
pub(super) struct LiveViewer<'a> {
    pending: PendingRequest,
    /// Id of the request whose picture is rendered next.
    rendering: Mutex<Option<JobId>>,
    send: &'a (dyn Fn(&Line) + Sync),
}

impl<'a> LiveViewer<'a> {
    pub(super) fn new(pending: PendingRequest, send: &'a (dyn Fn(&Line) + Sync)) -> Self {
        Self { pending, rendering: Mutex::default(), send }
    }
}

impl Viewer for LiveViewer<'_> {
    fn next_look(&self) -> Option<Look> {
        let ViewRequest { id, look } = self.pending.take()?;
        // The service has already validated it.
        let look = look.read().ok()?;
        *self.rendering.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Some(look)
    }

    fn show(&self, picture: Picture) {
        let Some(id) = self.rendering.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some(view) = LookView::of(&picture) {
            (self.send)(&Line::Seen { id, view });
        }
    }
}
