//! From rows to Arrow columns, one row at a time, into builders that are used again.

mod dns;
mod flow;
mod ledger;
mod proxy;

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

pub(super) use dns::DnsColumns;
pub(super) use flow::FlowColumns;
pub(super) use ledger::LedgerColumns;
pub(super) use proxy::ProxyColumns;

/// Rows handed to Parquet at once: small enough that the columns stay in the second-level cache.
pub(super) const CHUNK: usize = 2_048;

/// Builders of one table's columns.
pub(super) trait Columns<Row> {
    /// Empty builders, for the rows of a sensor.
    fn new(sensor: &str) -> Self;
    /// Adds a row.
    fn push(&mut self, row: &Row);
    /// The rows since the last call.
    fn finish(&mut self) -> Result<RecordBatch, ArrowError>;
}

/// Which rows are not null. A row that is not costs nothing but being counted.
#[derive(Default)]
struct Validity {
    /// A bit a row, as Arrow has them; rows after the last null have none yet.
    bits: Vec<u8>,
    len: usize,
}

impl Validity {
    #[inline]
    fn valid(&mut self) {
        self.len += 1;
    }

    #[inline]
    fn null(&mut self) {
        let at = self.len / 8;
        if at >= self.bits.len() {
            self.bits.resize(at + 1, u8::MAX);
        }
        if let Some(byte) = self.bits.get_mut(at) {
            *byte &= !(1 << (self.len % 8));
        }
        self.len += 1;
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        let len = std::mem::take(&mut self.len);
        if self.bits.is_empty() {
            return None;
        }
        self.bits.resize(len.div_ceil(8), u8::MAX);
        let bits = std::mem::replace(&mut self.bits, Vec::with_capacity(CHUNK / 8));
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, len)))
    }
}

/// A column of numbers or times.
struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    validity: Validity,
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::with_capacity(CHUNK), validity: Validity::default() }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    #[inline]
    fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.validity.valid();
    }

    #[inline]
    fn push_opt(&mut self, value: Option<T::Native>) {
        match value {
            Some(value) => self.push(value),
            None => {
                self.values.push(T::Native::default());
                self.validity.null();
            }
        }
    }

    fn array(&mut self) -> PrimitiveArray<T> {
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(CHUNK));
        PrimitiveArray::new(ScalarBuffer::from(values), self.validity.finish())
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.array())
    }
}

/// A column of times.
type Times = Numbers<arrow::datatypes::TimestampMicrosecondType>;

impl Times {
    fn finish_times(&mut self) -> ArrayRef {
        Arc::new(self.array().with_timezone("UTC"))
    }
}

/// A column of text.
struct Text {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    validity: Validity,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(CHUNK * 16), ends: vec![0], validity: Validity::default() }
    }
}

impl Text {
    /// Adds what `write` appends to the bytes it is given: valid UTF-8.
    #[inline]
    fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.end();
        self.validity.valid();
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.push_with(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    #[inline]
    fn push_opt(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.push(text),
            None => self.push_null(),
        }
    }

    #[inline]
    fn push_null(&mut self) {
        self.end();
        self.validity.null();
    }

    /// Past 2 GiB (the encoder cuts chunks long before) the end lies outside and [`Self::array`] refuses.
    #[inline]
    fn end(&mut self) {
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    fn array(&mut self) -> Result<StringArray, ArrowError> {
        let room = self.bytes.len() + self.bytes.len() / 8;
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(room));
        let mut ends = Vec::with_capacity(CHUNK + 1);
        ends.push(0);
        std::mem::swap(&mut ends, &mut self.ends);
        StringArray::try_new(
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            Buffer::from_vec(bytes),
            self.validity.finish(),
        )
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.array()?))
    }
}

/// A column of record identities.
#[derive(Default)]
struct Ids {
    bytes: Vec<u8>,
}

impl Ids {
    #[inline]
    fn push(&mut self, id: crate::record::RecordId) {
        self.bytes.extend_from_slice(&id.0);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(CHUNK * 16));
        Ok(Arc::new(arrow::array::FixedSizeBinaryArray::try_new(16, Buffer::from_vec(bytes), None)?))
    }
}

/// A column with the same text in every row.
struct Constant {
    text: String,
    whole: Option<StringArray>,
}

impl Constant {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), whole: None }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        match &self.whole {
            Some(whole) if whole.len() >= rows => Arc::new(whole.slice(0, rows)),
            _ => {
                let whole = StringArray::from_iter_values(std::iter::repeat_n(&self.text, rows));
                self.whole = Some(whole.clone());
                Arc::new(whole)
            }
        }
    }
}

/// The text of the `tunnel` column.
const fn tunnel(tunnel: capture::Tunnel) -> &'static str {
    use capture::Tunnel;
    match tunnel {
        Tunnel::Gre => "gre",
        Tunnel::Erspan => "erspan",
        Tunnel::Vxlan => "vxlan",
        Tunnel::Geneve => "geneve",
        Tunnel::GtpU => "gtpu",
        Tunnel::Mpls => "mpls",
        Tunnel::Pppoe => "pppoe",
        Tunnel::IpIp => "ipip",
        Tunnel::SixInFour => "6in4",
        Tunnel::Teredo => "teredo",
        Tunnel::L2tp => "l2tp",
    }
}

/// The text of the `service` column.
const fn service(service: capture::Service) -> &'static str {
    use capture::Service;
    match service {
        Service::Dns => "dns",
        Service::Mdns => "mdns",
        Service::Llmnr => "llmnr",
        Service::Http => "http",
        Service::Tls => "tls",
        Service::Ssh => "ssh",
        Service::Quic => "quic",
        Service::Ntp => "ntp",
        Service::Dhcp => "dhcp",
        Service::Smtp => "smtp",
        Service::Ftp => "ftp",
        Service::Rdp => "rdp",
        Service::Smb => "smb",
        Service::Snmp => "snmp",
        Service::Sip => "sip",
    }
}
