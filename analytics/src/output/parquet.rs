//! Parquet: the answer's own columns, zstd.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::cell::unique_names;
use super::{Answer, OutputError};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

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

/// Encodes batches as they come.
pub(super) struct Encoder {
    schema: SchemaRef,
    writer: ArrowWriter<Tank>,
    tank: Tank,
}

impl Encoder {
    /// For answers of this schema. A column's name that is given twice is made unique.
    pub(super) fn new(schema: &Schema) -> Result<Self, OutputError> {
        let names = unique_names(schema);
        let fields = schema.fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let tank = Tank::default();
        let writer = ArrowWriter::try_new(tank.clone(), Arc::clone(&schema), Some(properties)).map_err(wrong)?;
        Ok(Self { schema, writer, tank })
    }

    /// Takes a batch, and gives the bytes that are ready.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, OutputError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|error| OutputError::Format { format: "parquet", detail: error.to_string() })?;
        self.writer.write(&batch).map_err(wrong)?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(wrong)?;
        }
        Ok(self.tank.drain())
    }

    /// Ends the file.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, OutputError> {
        self.writer.finish().map_err(wrong)?;
        Ok(self.tank.drain())
    }
}

fn wrong(error: parquet::errors::ParquetError) -> OutputError {
    OutputError::Format { format: "parquet", detail: error.to_string() }
}

pub(super) async fn write(answer: &mut Answer, out: &mut dyn Write) -> Result<(), OutputError> {
    let mut encoder = Encoder::new(answer.schema())?;
    while let Some(batch) = answer.next().await? {
        out.write_all(&encoder.batch(&batch)?)?;
    }
    out.write_all(&encoder.finish()?)?;
    Ok(())
}
