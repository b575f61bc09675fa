//! `unix_seconds` and `spot_time`: moments cut to the second, as a number or as text.
//!
//! Both only cut, so a comparison of them with a constant is one of the moment itself. They tell the
//! optimizer so (`preimage`), and a filter on them prunes files as one on `first_seen` does.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDateTime};
use datafusion::common::cast::as_timestamp_microsecond_array;
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{Wanted, coerce};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";
const SECOND: i64 = 1_000_000;

/// What the second is given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// Seconds since 1970.
    Number,
    /// `YYYY-MM-DD HH:MM:SS`.
    Text,
}

/// `unix_seconds(ts)` and `spot_time(ts)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FloorToSecond {
    form: Form,
    signature: Signature,
}

impl FloorToSecond {
    pub(super) fn unix_seconds() -> Self {
        Self::new(Form::Number)
    }

    pub(super) fn spot_time() -> Self {
        Self::new(Form::Text)
    }

    fn new(form: Form) -> Self {
        Self { form, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The second that a constant names, if it names one exactly.
    fn second(&self, literal: &ScalarValue) -> Option<i64> {
        match (self.form, literal) {
            (Form::Number, ScalarValue::Int64(second)) => *second,
            (Form::Text, literal) => {
                let text = literal.try_as_str().flatten()?;
                let moment = NaiveDateTime::parse_from_str(text, FORMAT).ok()?;
                // Only the very text that this function makes: "2026-1-2 3:04:05" sorts elsewhere.
                (moment.format(FORMAT).to_string() == text).then(|| moment.and_utc().timestamp())
            }
            _ => None,
        }
    }
}

fn text_of(moments: &TimestampMicrosecondArray) -> ArrayRef {
    use std::fmt::Write as _;
    let mut out = StringBuilder::with_capacity(moments.len(), moments.len() * 19);
    let mut text = String::new();
    for moment in moments.iter() {
        text.clear();
        let written = moment
            .and_then(|at| DateTime::from_timestamp(at.div_euclid(SECOND), 0))
            .map(|moment| write!(text, "{}", moment.format(FORMAT)));
        out.append_option(matches!(written, Some(Ok(()))).then_some(text.as_str()));
    }
    Arc::new(out.finish())
}

impl ScalarUDFImpl for FloorToSecond {
    fn name(&self) -> &str {
        match self.form {
            Form::Number => "unix_seconds",
            Form::Text => "spot_time",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), Wanted::Moment, Some(1), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.form {
            Form::Number => DataType::Int64,
            Form::Text => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [moments] = args.args.as_slice() else {
            return exec_err!("{} needs one moment", self.name());
        };
        let moments = moments.to_array(args.number_rows)?;
        let moments = as_timestamp_microsecond_array(&moments)?;
        Ok(ColumnarValue::Array(match self.form {
            Form::Number => {
                Arc::new(moments.iter().map(|at| at.map(|at| at.div_euclid(SECOND))).collect::<Int64Array>())
            }
            Form::Text => text_of(moments),
        }))
    }

    /// `unix_seconds(ts) = 7` is `ts >= 7 s AND ts < 8 s`, and so on for the other comparisons.
    fn preimage(&self, args: &[Expr], literal: &Expr, _: &SimplifyContext) -> Result<PreimageResult> {
        let ([moment], Some(literal)) = (args, literal.as_literal()) else {
            return Ok(PreimageResult::None);
        };
        let second = self.second(literal);
        let bounds =
            second.and_then(|second| Some((second.checked_mul(SECOND)?, second.checked_add(1)?.checked_mul(SECOND)?)));
        let Some((from, to)) = bounds else {
            return Ok(PreimageResult::None);
        };
        let at = |at| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
        let interval = Box::new(Interval::try_new(at(from), at(to))?);
        Ok(PreimageResult::Range { expr: moment.clone(), interval })
    }
}
