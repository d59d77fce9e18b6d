//! The base model, which every user starts from.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use splat_gesture::{Bundle, GestureError, limits};

use super::{ModelError, Models, Result, folder_of};
use crate::gesture::{BASE_CODE, MODEL_FILE};
use crate::store::blocking;

impl Models {
    /// The base model: the operator's, or one that is trained on first use (takes seconds) and stored. Servers that train it
    /// concurrently all use the one that was stored first.
    ///
    /// # Errors
    /// [`ModelError::Base`], [`ModelError::Store`].
    pub async fn base(&self) -> Result<Arc<Bundle>> {
        self.base.get_or_try_init(|| self.find_base()).await.cloned()
    }

    async fn find_base(&self) -> Result<Arc<Bundle>> {
        if let Some(path) = self.base_file.clone() {
            return blocking(move || read_base(&path)).await.map(Arc::new);
        }
        let folder = folder_of("base", BASE_CODE);
        let path = format!("{}/{MODEL_FILE}", env!("CARGO_PKG_VERSION"));
        let mut unreadable = false;
        match self.read_bundle(&folder, &path).await {
            Ok(bundle) => return Ok(bundle),
            Err(ModelError::NotFound) => {}
            Err(ModelError::Gesture(error)) => {
                tracing::warn!(%error, "could not read the stored base model; rebuilding it");
                unreadable = true;
            }
            Err(error) => return Err(error),
        }
        // If this future is dropped, the training is cancelled.
        let stop = StopOnDrop::default();
        let stopped = Arc::clone(&stop.0);
        let made = blocking(move || {
            let bundle = splat_gesture::base_v1(&|_| {}, &|| stopped.load(Ordering::Relaxed))?;
            Ok::<_, GestureError>((bundle.to_bytes(), bundle))
        });
        let (bytes, bundle) = made.await?;
        if unreadable {
            self.models.put_bytes(&folder, &path, bytes.into()).await?;
        } else if !self.models.put_new(&folder, &path, bytes.into()).await? {
            // Another server stored its model first; on other hardware, rounding may differ.
            return self.read_bundle(&folder, &path).await;
        }
        Ok(Arc::new(bundle))
    }
}

fn read_base(path: &Path) -> Result<Bundle> {
    let failed = |why: String| ModelError::Base { path: path.to_path_buf(), why };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > limits::MAX_BUNDLE_BYTES as u64 {
        return Err(failed(format!("it has {length} bytes, more than any model")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Bundle::from_bytes(&bytes).map_err(|error| failed(error.to_string()))
}

/// Cancels a training that no caller waits for any more.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
