//! The threads on which queries run: apart from the caller's, with a stack that deep plans fit in.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::error::QueryError;

/// Deep enough for any plan that passes the guard, in an unoptimised build too.
const STACK: usize = 32 << 20;
/// Threads for reading files; each holds a few hundred KiB.
const READERS: usize = 32;

/// A runtime that may be dropped anywhere, also inside another runtime.
pub(super) struct Workers {
    handle: Handle,
    /// Taken by drop.
    runtime: Option<Runtime>,
}

impl Workers {
    pub(super) fn start(threads: usize) -> Result<Self, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(READERS)
            .thread_stack_size(STACK)
            .thread_name("query")
            .enable_time()
            .build()
            .map_err(|error| QueryError::Open(format!("no worker threads: {error}")))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(self.handle.spawn(task))
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task that ends with its handle.
pub(super) struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for the end; an error if it was stopped or panicked.
    pub(super) async fn join(&mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
