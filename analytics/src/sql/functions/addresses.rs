//! `dns_addresses`: the addresses among DNS answers.

use std::sync::Arc;

use arrow::array::{Array, ListArray, StringArray, StringBuilder, StructArray, UInt16Array};
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_list_array, as_string_array, as_struct_array, as_uint16_array};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// A and AAAA (RFC 1035, RFC 3596).
const ADDRESS_TYPES: [u16; 2] = [1, 28];

/// `dns_addresses(answers)`: null where there is none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DnsAddresses {
    signature: Signature,
}

impl DnsAddresses {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

fn columns(list: &ListArray) -> Result<(&UInt16Array, &StringArray)> {
    let records: &StructArray = as_struct_array(list.values())?;
    match (records.column_by_name("type"), records.column_by_name("data")) {
        (Some(types), Some(data)) => Ok((as_uint16_array(types)?, as_string_array(data)?)),
        _ => exec_err!("dns_addresses needs the answers or authorities of dns"),
    }
}

impl ScalarUDFImpl for DnsAddresses {
    fn name(&self) -> &str {
        "dns_addresses"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [DataType::List(_)] => Ok(DataType::Utf8),
            _ => plan_err!("dns_addresses needs the answers or authorities of dns"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [answers] = args.args.as_slice() else {
            return exec_err!("dns_addresses needs one list");
        };
        let answers = answers.to_array(args.number_rows)?;
        let list = as_list_array(&answers)?;
        let (types, data) = columns(list)?;
        let mut out = StringBuilder::new();
        let mut joined = String::new();
        for row in 0..list.len() {
            joined.clear();
            if list.is_valid(row) {
                let offsets = list.value_offsets();
                let range = offsets.get(row).zip(offsets.get(row + 1));
                for at in range.map_or(0..0, |(from, to)| *from..*to).filter_map(|at| usize::try_from(at).ok()) {
                    if ADDRESS_TYPES.contains(&types.value(at)) {
                        if !joined.is_empty() {
                            joined.push('|');
                        }
                        joined.push_str(data.value(at));
                    }
                }
            }
            out.append_option((!joined.is_empty()).then_some(joined.as_str()));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
