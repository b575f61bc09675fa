//! `among`: is a record one of these? For lists that leave out what was rated, however much that is: an `IN` of thousands would be a long text.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, FixedSizeBinaryArray};
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Bytes of an identity.
const SIZE: usize = 16;

/// `among(record_id, ids)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Among {
    signature: Signature,
}

impl Among {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Among {
    fn name(&self) -> &str {
        "among"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::FixedSizeBinary(16) | DataType::Null, DataType::Binary | DataType::Null] => {
                Ok(vec![DataType::FixedSizeBinary(16), DataType::Binary])
            }
            _ => plan_err!("among takes a record_id and bytes"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [records, ColumnarValue::Scalar(ScalarValue::Binary(Some(ids)))] = args.args.as_slice() else {
            return exec_err!("among needs a record_id and constant bytes");
        };
        let (ids, rest) = ids.as_chunks::<SIZE>();
        if !rest.is_empty() || !ids.is_sorted() {
            return exec_err!("among needs identities of {SIZE} bytes each, in ascending order");
        }
        let records = records.to_array(args.number_rows)?;
        let Some(records) = records.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
            return exec_err!("among needs a record_id");
        };
        let found: BooleanArray = (0..records.len())
            .map(|row| {
                (!records.is_null(row))
                    .then(|| ids.binary_search_by(|id| id.as_slice().cmp(records.value(row))).is_ok())
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}
