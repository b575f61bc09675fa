//! `proto_name`: protocol numbers as nfdump prints them, which is what Apache Spot's words are made of.

use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::common::cast::as_uint8_array;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{Wanted, coerce};

use crate::words::protocol::name;

/// `proto_name(proto)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ProtoName {
    signature: Signature,
}

impl ProtoName {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ProtoName {
    fn name(&self) -> &str {
        "proto_name"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), Wanted::Byte, Some(1), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [proto] = args.args.as_slice() else {
            return exec_err!("proto_name needs one number");
        };
        let proto = proto.to_array(args.number_rows)?;
        let proto = as_uint8_array(&proto)?;
        let mut out = StringBuilder::with_capacity(proto.len(), proto.len() * 4);
        for proto in proto.iter() {
            match proto.map(|proto| (proto, name(proto))) {
                Some((_, Some(name))) => out.append_value(name),
                Some((proto, None)) => out.append_value(proto.to_string()),
                None => out.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
