//! The threads on which queries run: apart from the caller's, with a stack that deep plans fit in.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::error::QueryError;

/// Deep enough for any plan that passes the guard, in an unoptimised build too.
const STACK: usize = 32 << 20;
/// Threads for reading files; each holds a few hundred KiB.
const READERS: usize = 32;

/// A runtime that may be dropped anywhere, also inside another runtime.
pub(super) struct Workers(Option<Runtime>);

impl Workers {
    pub(super) fn start(threads: usize) -> Result<Self, QueryError> {
        Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(READERS)
            .thread_stack_size(STACK)
            .thread_name("query")
            .enable_time()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| QueryError::Open(format!("no worker threads: {error}")))
    }

    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Option<Task<T>> {
        self.0.as_ref().map(|runtime| Task(runtime.spawn(task)))
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("the runtime is taken only by drop"),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task that ends with its handle.
pub(super) struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for the end; `None` if it was stopped or failed without a value.
    pub(super) async fn join(&mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
