//! One shared connection, which reconnects automatically.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, ErrorKind, FromRedisValue, ParsingError, Pipeline, RedisError, Script, ToRedisArgs,
};

use crate::queue::{EVENTS_KEPT, QueueError, Result, Ticket};

/// Prefix of all keys. The hash tag keeps them on one node of a cluster.
const PREFIX: &str = "{splat}:";
/// Maximum wait for a response: scripts take well under a millisecond, so a longer wait means that Redis is gone.
const ANSWER: Duration = Duration::from_secs(4);
/// Maximum wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// The connection and the scripts.
#[derive(Clone)]
pub(crate) struct RedisStore {
    manager: ConnectionManager,
    scripts: Arc<Scripts>,
}

impl std::fmt::Debug for RedisStore {
    /// Omits the address, which may contain a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// Reads each script from the file of its name.
macro_rules! scripts {
    ($($name:ident)+) => {
        /// Loaded into Redis if it does not have them yet.
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)+
        }

        impl Scripts {
            fn new() -> Self {
                let prelude = include_str!("lua/prelude.lua");
                let script = |text: &str| Script::new(&[prelude, text].concat());
                Self { $($name: script(include_str!(concat!("lua/", stringify!($name), ".lua"))),)+ }
            }
        }
    };
}

scripts! { submit claim renew report finish cancel retry list delete ended ahead change adopt usage ask question }

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Malformed { why: error.to_string() },
            _ => Self::Unavailable { why: format!("Redis: {error}") },
        }
    }
}

impl From<ParsingError> for QueueError {
    fn from(error: ParsingError) -> Self {
        RedisError::from(error).into()
    }
}

impl RedisStore {
    /// Connects when first used.
    pub(super) fn open(url: &str) -> Result<Self> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(CONNECT))
            // A call without a connection starts the next attempt to connect, and fails at once.
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        let manager = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        Ok(Self { manager, scripts: Arc::new(Scripts::new()) })
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// The full name of a key.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Runs a command.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.manager.clone()).await?)
    }

    /// Runs commands in one round trip.
    pub(crate) async fn run_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T> {
        Ok(pipeline.query_async(&mut self.manager.clone()).await?)
    }

    /// Starts a call of a script.
    pub(super) fn call(&self, script: &Script) -> Call {
        let call = Call { manager: self.manager.clone(), script: script.clone(), args: Vec::new() };
        call.arg(PREFIX).arg(EVENTS_KEPT)
    }
}

/// A call of a script.
pub(super) struct Call {
    manager: ConnectionManager,
    script: Script,
    args: Vec<Vec<u8>>,
}

impl Call {
    /// Adds an argument: text or number.
    pub(super) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.args.extend(arg.to_redis_args());
        self
    }

    pub(super) fn ticket(self, ticket: &Ticket) -> Self {
        self.arg(ticket.id.as_str()).arg(ticket.token)
    }

    pub(super) async fn run<T: FromRedisValue>(mut self) -> Result<T> {
        let mut invocation = self.script.prepare_invoke();
        // Any key routes the call to the right node of a cluster.
        invocation.key(format!("{PREFIX}count"));
        for arg in &self.args {
            invocation.arg(arg);
        }
        Ok(invocation.invoke_async(&mut self.manager).await?)
    }
}
