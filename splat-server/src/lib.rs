//! The HTTP service: upload photos, follow the job, fetch the scene.
//!
//! | module | what |
//! | --- | --- |
//! | [`settings`], [`config`] | the operator's settings, and the resolved configuration |
//! | [`service`] | entry points: serve, work, manage keys |
//! | [`http`] | the HTTP API, a thin layer over the parts below |
//! | [`page`] | the web page, embedded |
//! | [`intake`] | receives photos, zips, videos and resumable uploads; limits are enforced while they stream to disk |
//! | [`job`], [`scene`], [`gesture`] | jobs and what they do; models of gestures |
//! | [`queue`] | the job queue, which survives crashes: SQLite or Redis behind one trait and one contract suite |
//! | [`look`] | live views of a scene in training |
//! | [`keys`] | API keys: who may use the service |
//! | [`store`], [`layout`] | files of jobs in a folder or a bucket, and their layout |
//! | `export` | scenes in other formats, converted on request |
//! | [`worker`], [`runner`] | workers claim jobs and run them in processes of their own |
//! | [`viewer`] | the page with one scene of this machine, without the service: served, or as an HTML file |
//! | [`webhook`] | signed messages sent when a job has ended |
//! | [`metrics`] | metrics for operators |
//! | [`tls`] | the cryptography provider of TLS |
//!
//! Start at [`service::Parts`].

mod child;
pub mod code;
pub mod config;
pub(crate) mod export;
pub mod gesture;
pub mod http;
pub mod intake;
pub mod job;
pub mod keys;
pub mod layout;
mod listen;
pub mod look;
pub mod metrics;
pub mod page;
mod parts;
pub mod queue;
pub mod runner;
pub mod scene;
pub mod service;
pub mod settings;
pub mod store;
mod sweep;
pub mod tls;
#[cfg(feature = "ngrok")]
mod tunnel;
pub mod viewer;
pub mod webhook;
pub mod worker;
