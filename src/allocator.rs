//! Where memory comes from: jemalloc, set up (in `.cargo/config.toml`) to ask for huge pages. An import touches fresh
//! memory all the time, and by 4 KiB pages the kernel's part in that was a tenth of all its CPU time.

/// For the whole command.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
