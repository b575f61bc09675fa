//! Which parts a query has to open: what the journal knows of a part, held against the filters.

use std::collections::HashSet;
use std::sync::Arc;

use aggregator::lake::{Part, Table};
use aggregator::record::Micros;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

/// The columns about which a part's place in the journal says something.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartColumns {
    /// The columns whose values lie between [`Part::first`] and [`Part::last`].
    times: &'static [&'static str],
    /// The columns that are folders: every row of a part has the same value.
    folders: &'static [&'static str],
}

impl PartColumns {
    pub(super) fn of(table: Table) -> Self {
        let times: &[&str] = match table {
            Table::Flow | Table::Dns | Table::Proxy | Table::Dhcp | Table::Scores(_) => &["first_seen", "last_seen"],
            Table::Ledger => &["interval_start", "interval_end"],
            Table::Interfaces => &["ts"],
        };
        let folders: &[&str] = if table.is_hourly() { &["date", "hour"] } else { &["date", "source"] };
        Self { times, folders }
    }

    /// The names of the folder columns, in the order in which they follow the file's columns.
    pub(super) const fn folders(&self) -> &'static [&'static str] {
        self.folders
    }

    /// The values of the folder columns.
    pub(super) fn folder_values(&self, part: &Part) -> Vec<ScalarValue> {
        self.folders.iter().map(|name| folder_value(name, part).unwrap_or(ScalarValue::Null)).collect()
    }

    /// Smallest and largest value a column can have in this part, where that is known.
    pub(super) fn bounds(&self, name: &str, part: &Part) -> Option<(ScalarValue, ScalarValue)> {
        if self.times.contains(&name) {
            let time = |Micros(at)| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
            return Some((time(part.first), time(part.last)));
        }
        let value = self.constant(name, part)?;
        Some((value.clone(), value))
    }

    /// The one value that all rows of the part have in this column.
    fn constant(&self, name: &str, part: &Part) -> Option<ScalarValue> {
        match name {
            _ if self.folders.contains(&name) => folder_value(name, part),
            "sensor" if part.table.is_hourly() => Some(ScalarValue::from(part.sensor.as_str())),
            "run_id" => part.run.as_deref().map(ScalarValue::from),
            _ => None,
        }
    }

    /// True where the folders alone decide a filter, so that no row has to be looked at.
    pub(super) fn decides(&self, filter: &Expr) -> bool {
        let mut columns = 0;
        let mut decided = true;
        let visited = filter.apply(|expr| {
            decided = match expr {
                Expr::Column(Column { name, .. }) => {
                    columns += 1;
                    self.folders.contains(&name.as_str())
                }
                Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
                Expr::Literal(..)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::BinaryExpr(_)
                | Expr::Between(_)
                | Expr::Like(_)
                | Expr::InList(_)
                | Expr::Case(_) => true,
                _ => false,
            };
            Ok(if decided { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        visited.is_ok() && decided && columns > 0
    }
}

fn folder_value(name: &str, part: &Part) -> Option<ScalarValue> {
    match name {
        "date" => Some(ScalarValue::Date32(Some(part.date.0))),
        "hour" => Some(ScalarValue::UInt8(part.hour)),
        "source" => match part.table {
            Table::Scores(source) => Some(ScalarValue::from(source.as_str())),
            _ => None,
        },
        _ => None,
    }
}

/// The parts that can hold a row for which all `filters` are true. Filters that [`PartColumns::decides`] are
/// applied exactly.
pub(super) fn prune(
    mut parts: Vec<Part>,
    columns: PartColumns,
    schema: &SchemaRef,
    filters: &[Expr],
    state: &dyn Session,
) -> Result<Vec<Part>> {
    if parts.is_empty() {
        return Ok(parts);
    }
    let (exact, loose): (Vec<Expr>, Vec<Expr>) = filters.iter().cloned().partition(|filter| columns.decides(filter));
    let df_schema = DFSchema::try_from(Arc::clone(schema))?;

    if let Some(predicate) = conjunction(loose) {
        let predicate = state.create_physical_expr(predicate, &df_schema)?;
        let pruner = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(predicate);
        if let Some(pruner) = pruner {
            let verdicts = pruner.prune(&Journal { parts: &parts, columns })?;
            keep(&mut parts, &verdicts);
        }
    }
    if let Some(predicate) = conjunction(exact)
        && !parts.is_empty()
    {
        let folders = Arc::new(
            schema
                .project(&columns.folders.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?)?,
        );
        let arrays = columns
            .folders
            .iter()
            .map(|name| {
                ScalarValue::iter_to_array(
                    parts.iter().map(|part| folder_value(name, part).unwrap_or(ScalarValue::Null)),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&folders), arrays)?;
        let predicate = state.create_physical_expr(predicate, &DFSchema::try_from(folders)?)?;
        let verdicts = predicate.evaluate(&batch)?.into_array(parts.len())?;
        let verdicts = datafusion::common::cast::as_boolean_array(&verdicts)?;
        keep(&mut parts, &verdicts.iter().map(|verdict| verdict == Some(true)).collect::<Vec<_>>());
    }
    Ok(parts)
}

fn keep(parts: &mut Vec<Part>, verdicts: &[bool]) {
    let mut verdicts = verdicts.iter();
    parts.retain(|_| verdicts.next().copied().unwrap_or(true));
}

/// The journal's knowledge in DataFusion's form: a container is a part.
struct Journal<'a> {
    parts: &'a [Part],
    columns: PartColumns,
}

impl Journal<'_> {
    fn column(&self, value: impl Fn(&Part) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let values = self.parts.iter().map(value).collect::<Option<Vec<_>>>()?;
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Journal<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(|part| self.columns.bounds(&column.name, part).map(|(min, _)| min))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(|part| self.columns.bounds(&column.name, part).map(|(_, max)| max))
    }

    fn num_containers(&self) -> usize {
        self.parts.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.parts.iter().map(|part| Some(part.rows)).collect::<UInt64Array>()))
    }

    /// For a long IN list on a column that is constant in each part.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let verdicts: BooleanArray = self
            .parts
            .iter()
            .map(|part| self.columns.constant(&column.name, part).map(|value| values.contains(&value)))
            .collect();
        (verdicts.null_count() < verdicts.len()).then_some(verdicts)
    }
}
