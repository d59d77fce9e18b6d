//! Live views of the training scene: requests to this process and responses from it.

use std::sync::{Arc, Mutex, PoisonError};

use splat_core::pipeline::{Look, Picture, Viewer};

use super::{Ask, Line};
use crate::job::JobId;
use crate::look::LookView;

/// The latest pending request: the worker sends another one only after it has given up the previous one. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<Option<Ask>>>);

impl Asked {
    pub(super) fn put(&self, ask: Ask) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ask);
    }

    fn take(&self) -> Option<Ask> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Connects live views to the pipeline.
pub(super) struct Window<'a> {
    asked: Asked,
    /// Id of the request whose picture is rendered next.
    drawing: Mutex<Option<JobId>>,
    tell: &'a (dyn Fn(&Line) + Sync),
}

impl<'a> Window<'a> {
    pub(super) fn new(asked: Asked, tell: &'a (dyn Fn(&Line) + Sync)) -> Self {
        Self { asked, drawing: Mutex::default(), tell }
    }
}

impl Viewer for Window<'_> {
    fn next_look(&self) -> Option<Look> {
        let Ask { id, look } = self.asked.take()?;
        // The service has already validated it.
        let look = look.read().ok()?;
        *self.drawing.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Some(look)
    }

    fn show(&self, picture: Picture) {
        let Some(id) = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some(view) = LookView::of(&picture) {
            (self.tell)(&Line::Seen { id, view });
        }
    }
}
