//! The HTTP service: upload photos, follow the job, fetch the scene.
//!
//! | module | what |
//! | --- | --- |
//! | [`settings`], [`config`] | what the operator decides, and what holds then |
//! | [`service`] | the parts put together: serve, work, manage keys |
//! | [`http`] | the HTTP interface, thin over the parts below |
//! | [`page`] | the web page, embedded |
//! | [`intake`] | what clients send: photos, zips, videos, resumable uploads; limits hold while it streams to disk |
//! | [`job`], [`scene`], [`gesture`] | what a job is, and what one is to do; the models of gestures |
//! | [`queue`] | who works on what, and what survives a crash: SQLite or Redis behind one trait and one contract suite |
//! | [`look`] | pictures of a scene while it trains, from where somebody looks |
//! | [`keys`] | API keys: who may use the service |
//! | [`store`], [`layout`] | where the files of jobs lie: a folder or a bucket, and what lies where in it |
//! | `export` | scenes in other forms, made when they are asked for |
//! | [`worker`], [`runner`] | jobs are claimed, and done by processes of their own |
//! | [`viewer`] | the page with one scene of this machine, without the service: served, or as a file |
//! | [`webhook`] | signed messages when a job has ended |
//! | [`metrics`] | figures for operators |
//! | [`tls`] | which cryptography TLS uses |
//!
//! Start at [`service::Parts`].

mod child;
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
