//! A table of the lake as DataFusion reads it: parts from the journal, pruned before a file is opened.
//!
//! The columns are those of DATA-MODEL.md, then the folders of the lake as columns: `date` (Date32), `hour`
//! (UInt8; null for scores) and, for scores, `source`. Every column is nullable, because a file written
//! before a column existed answers null for it.
//!
//! Work is left out in this order: parts by the journal (time range of the filters), parts by what the
//! journal knows of them (day, hour, sensor, run, times), row groups by statistics and Bloom filters, pages by
//! the page index, rows while decoding. Columns that are not asked for are not read.

use std::collections::HashMap;
use std::path::Path as FsPath;
use std::sync::{Arc, Mutex, PoisonError};

use aggregator::lake::{Lake, LakeError, Part, Source, Table, schema};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::error::QueryError;
use super::prune::{self, PartColumns};
use super::reader::PartReaders;

type Result<T, E = DataFusionError> = std::result::Result<T, E>;

/// Where the lake's files are found by DataFusion.
pub(super) const STORE: &str = "lake://files/";

/// One table of the lake, or the scores of all sources together.
#[derive(Debug)]
pub(super) struct LakeTable {
    tables: Vec<Table>,
    schema: TableSchema,
    columns: PartColumns,
    store: ObjectStoreUrl,
}

/// Who knows which parts there are: the lake's journal.
pub(super) trait Listing: Send + Sync {
    /// The folder that holds all of them.
    fn dir(&self) -> &FsPath;
    /// The parts of a table, at this moment.
    fn parts(&self, table: Table) -> Result<Vec<Part>, LakeError>;
}

impl Listing for Lake {
    fn dir(&self) -> &FsPath {
        self.dir()
    }

    fn parts(&self, table: Table) -> Result<Vec<Part>, LakeError> {
        self.parts(table, None)
    }
}

/// The parts that one query reads: each table is listed once, so that a query that names a table twice sees
/// the same rows twice, whatever is published meanwhile.
pub(super) struct Snapshot {
    listing: Arc<dyn Listing>,
    listed: Mutex<HashMap<Table, Arc<Vec<Part>>>>,
}

impl Snapshot {
    pub(super) fn new(listing: Arc<dyn Listing>) -> Self {
        Self { listing, listed: Mutex::default() }
    }

    fn of(state: &dyn Session) -> Result<Arc<Self>> {
        let missing = || external(QueryError::Journal("the query has no snapshot of the lake".to_owned()));
        state.config().get_extension::<Self>().ok_or_else(missing)
    }

    fn parts(&self, table: Table) -> Result<Arc<Vec<Part>>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = listed.get(&table) {
            return Ok(Arc::clone(parts));
        }
        let parts = self.listing.parts(table).map_err(|error| external(QueryError::Journal(error.to_string())))?;
        let parts = Arc::new(parts);
        listed.insert(table, Arc::clone(&parts));
        Ok(parts)
    }
}

pub(super) fn external(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl LakeTable {
    /// A table as it is in the lake.
    pub(super) fn new(table: Table) -> Result<Self> {
        Self::over(vec![table], &schema::of_table(table))
    }

    /// The scores of all sources: the union of their columns, null where a source has no such column.
    pub(super) fn scores() -> Result<Self> {
        let mut fields: Vec<FieldRef> = Vec::new();
        for source in Source::ALL {
            for field in schema::scores(source).fields() {
                if !fields.iter().any(|known| known.name() == field.name()) {
                    fields.push(Arc::clone(field));
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Self::over(Source::ALL.map(Table::Scores).to_vec(), &schema)
    }

    fn over(tables: Vec<Table>, schema: &Schema) -> Result<Self> {
        let file_schema: SchemaRef = Arc::new(Schema::new(
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
        ));
        let columns = PartColumns::of(tables.first().copied().unwrap_or(Table::Flow));
        let folders = columns.folders().iter().map(|name| {
            let data_type = match *name {
                "date" => DataType::Date32,
                "hour" => DataType::UInt8,
                _ => DataType::Utf8,
            };
            Arc::new(Field::new(*name, data_type, true)) as FieldRef
        });
        let folders: Vec<FieldRef> = folders.collect();
        let schema = TableSchema::builder(file_schema).with_table_partition_cols(folders).build();
        Ok(Self { tables, schema, columns, store: ObjectStoreUrl::parse(STORE)? })
    }

    /// The parts of this table that can hold rows for these filters.
    fn parts(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Part>> {
        let snapshot = Snapshot::of(state)?;
        let mut parts = Vec::new();
        for table in &self.tables {
            parts.extend(snapshot.parts(*table)?.iter().cloned());
        }
        prune::prune(parts, self.columns, self.schema.table_schema(), filters, state)
    }

    fn file(&self, root: &FsPath, part: &Part) -> Result<PartitionedFile> {
        let relative = part.path.strip_prefix(root).unwrap_or(&part.path);
        let location = relative
            .to_str()
            .ok_or_else(|| external(QueryError::Part(format!("{}: the path is not UTF-8", part.path.display()))))?;
        let mut file = PartitionedFile::new(location, part.bytes);
        file.object_meta.location = object_store::path::Path::parse(location)
            .map_err(|error| external(QueryError::Part(format!("{}: {error}", part.path.display()))))?;
        file.partition_values = self.columns.folder_values(part);
        Ok(file.with_statistics(Arc::new(self.statistics_of(part))))
    }

    /// What is known of a part before it is opened. Row counts are exact; the times are bounds.
    fn statistics_of(&self, part: &Part) -> Statistics {
        let schema = self.schema.file_schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| match self.columns.bounds(field.name(), part) {
                Some((min, max)) => ColumnStatistics::new_unknown()
                    .with_min_value(Precision::Inexact(min))
                    .with_max_value(Precision::Inexact(max)),
                None => ColumnStatistics::new_unknown(),
            })
            .collect();
        Statistics {
            num_rows: Precision::Exact(usize::try_from(part.rows).unwrap_or(usize::MAX)),
            total_byte_size: Precision::Inexact(usize::try_from(part.bytes).unwrap_or(usize::MAX)),
            column_statistics: columns,
        }
    }

    fn statistics_of_all(&self, parts: &[Part]) -> Statistics {
        let sum = |of: fn(&Part) -> u64| {
            usize::try_from(parts.iter().map(of).fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
        };
        Statistics {
            num_rows: Precision::Exact(sum(|part| part.rows)),
            total_byte_size: Precision::Inexact(sum(|part| part.bytes)),
            column_statistics: Statistics::unknown_column(self.schema.table_schema()),
        }
    }
}

#[async_trait::async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.columns.decides(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parts = self.parts(state, filters)?;
        if parts.is_empty() {
            let schema = project_schema(&self.schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let snapshot = Snapshot::of(state)?;
        let files = parts.iter().map(|part| self.file(snapshot.listing.dir(), part)).collect::<Result<Vec<_>>>()?;
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());

        let runtime = state.runtime_env();
        let store = runtime.object_store(&self.store)?;
        let metadata = runtime.cache_manager.get_file_metadata_cache();
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(PartReaders::new(snapshot.listing.dir(), store, metadata)));
        let scan = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics_of_all(&parts))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}
