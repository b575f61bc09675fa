//! Parquet: the answer's own columns, zstd.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::cell::unique_names;
use super::{Answer, OutputError};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

/// Encoded bytes held before a row group is closed: the bound of memory.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Lets the encoder own its writer while the bytes go elsewhere.
#[derive(Clone, Default)]
struct Tank(Arc<Mutex<Vec<u8>>>);

impl Tank {
    fn drain(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Tank {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) async fn write(answer: &mut Answer, out: &mut dyn Write) -> Result<(), OutputError> {
    let wrong =
        |error: parquet::errors::ParquetError| OutputError::Format { format: "parquet", detail: error.to_string() };
    let names = unique_names(answer.schema());
    let fields = answer.schema().fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let tank = Tank::default();
    let mut writer = ArrowWriter::try_new(tank.clone(), Arc::clone(&schema), Some(properties)).map_err(wrong)?;
    while let Some(batch) = answer.next().await? {
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
            .map_err(|error| OutputError::Format { format: "parquet", detail: error.to_string() })?;
        writer.write(&batch).map_err(wrong)?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(wrong)?;
        }
        out.write_all(&tank.drain())?;
    }
    writer.close().map_err(wrong)?;
    out.write_all(&tank.drain())?;
    Ok(())
}
