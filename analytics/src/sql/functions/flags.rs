//! `tcp_flags`: TCP flags as nfdump prints them.

use std::sync::Arc;

use arrow::array::{StringBuilder, UInt8Array};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_uint8_array;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{Wanted, coerce};

/// From the highest bit down: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN (RFC 9293, RFC 3168).
const LETTERS: [u8; 8] = *b"CEUAPRSF";

/// The eight characters for a byte of flags.
fn text(flags: u8) -> [u8; 8] {
    let mut text = LETTERS;
    for (bit, letter) in text.iter_mut().enumerate() {
        if flags & (0x80 >> bit) == 0 {
            *letter = b'.';
        }
    }
    text
}

/// `tcp_flags(flags)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TcpFlags {
    signature: Signature,
}

impl TcpFlags {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TcpFlags {
    fn name(&self) -> &str {
        "tcp_flags"
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
        let [flags] = args.args.as_slice() else {
            return exec_err!("tcp_flags needs one number");
        };
        let flags = flags.to_array(args.number_rows)?;
        let flags: &UInt8Array = as_uint8_array(&flags)?;
        let mut out = StringBuilder::with_capacity(flags.len(), flags.len() * LETTERS.len());
        for flags in flags.iter() {
            out.append_option(flags.map(text).as_ref().and_then(|text| std::str::from_utf8(text).ok()));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
