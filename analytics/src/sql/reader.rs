//! Reads parts from the local disk on the thread that decodes them.
//!
//! The object store hands every range to another thread and opens the file anew for it. A lake has a part an hour and more:
//! a query over a day then spends its time waiting for its turn. The threads here are the queries' own, a range is at most a
//! column of a row group, and what was read lately is in the page cache, so the read is done where it is needed. Footers
//! come from DataFusion's metadata cache, as they did.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::future::BoxFuture;
use object_store::ObjectStore;

/// Makes the readers of a scan.
#[derive(Debug)]
pub(super) struct PartReaders {
    root: PathBuf,
    footers: CachedParquetFileReaderFactory,
}

impl PartReaders {
    /// Of the lake at `root`, which `store` gives access to as well.
    pub(super) fn new(root: &Path, store: Arc<dyn ObjectStore>, cache: Arc<FileMetadataCache>) -> Self {
        Self { root: root.to_owned(), footers: CachedParquetFileReaderFactory::new(store, cache) }
    }
}

impl ParquetFileReaderFactory for PartReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let location = file.object_meta.location.to_string();
        let footer = self.footers.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let read = MetricBuilder::new(metrics)
            .with_new_label("filename", location.clone())
            .counter("bytes_scanned", partition_index);
        Ok(Box::new(PartReader { path: self.root.join(&location), location, file: None, footer, read }))
    }
}

/// Reads one part.
struct PartReader {
    path: PathBuf,
    location: String,
    /// Opened when the first range is asked for: many a part is ruled out by its footer.
    file: Option<File>,
    footer: Box<dyn AsyncFileReader + Send>,
    read: Count,
}

impl PartReader {
    fn range(&mut self, range: &Range<u64>) -> ParquetResult<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path).map_err(|error| failed(&self.location, error))?),
        };
        let length = range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| ParquetError::General(format!("{}: no range: {range:?}", self.location)))?;
        let size = file.metadata().map_err(|error| failed(&self.location, error))?.len();
        if range.end > size {
            return Err(ParquetError::EOF(format!("{}: {range:?} of a file of {size} bytes", self.location)));
        }
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| failed(&self.location, error))?;
        self.read.add(length);
        Ok(bytes.into())
    }
}

/// A part that is gone is told as the object store tells it: the query is planned again.
fn failed(location: &str, error: std::io::Error) -> ParquetError {
    let path = location.to_owned();
    ParquetError::External(Box::new(match error.kind() {
        ErrorKind::NotFound => object_store::Error::NotFound { path, source: Box::new(error) },
        _ => object_store::Error::Generic { store: "lake", source: format!("{path}: {error}").into() },
    }))
}

impl AsyncFileReader for PartReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let bytes = self.range(&range);
        Box::pin(std::future::ready(bytes))
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let all = ranges.iter().map(|range| self.range(range)).collect();
        Box::pin(std::future::ready(all))
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        self.footer.get_metadata(options)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn reader(root: &Path, name: &str) -> Box<dyn AsyncFileReader + Send> {
        let readers = PartReaders::new(
            root,
            Arc::new(InMemory::new()),
            datafusion::execution::runtime_env::RuntimeEnv::default().cache_manager.get_file_metadata_cache(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        readers.create_reader(0, PartitionedFile::new(name, 10), None, &metrics).expect("a reader")
    }

    #[tokio::test]
    async fn ranges_are_read_and_those_that_are_not_there_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("part"), b"0123456789").expect("written");
        let mut part = reader(dir.path(), "part");
        assert_eq!(part.get_bytes(2..5).await.expect("read").as_ref(), b"234");
        let ranges = part.get_byte_ranges(vec![0..1, 8..10, 4..4]).await.expect("read");
        assert_eq!(ranges, [Bytes::from_static(b"0"), Bytes::from_static(b"89"), Bytes::new()]);
        // A footer that lies asks for no memory.
        for range in [8..11, 0..u64::MAX, Range { start: 5, end: 2 }] {
            assert!(part.get_bytes(range.clone()).await.is_err(), "{range:?}");
        }
    }

    #[tokio::test]
    async fn a_part_that_is_gone_is_told_as_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = reader(dir.path(), "flow/part").get_bytes(0..1).await.expect_err("gone");
        let error = datafusion::error::DataFusionError::from(error);
        assert_eq!(super::super::error::vanished_part(&error).as_deref(), Some("flow/part"));
    }
}
