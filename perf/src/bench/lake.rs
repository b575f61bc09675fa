//! Part `lake`: rows become Parquet, by the lake's writer and by the libraries' own with their defaults.
//!
//! The rows are synthetic flows. Ours are measured from records to a published set (sorted by hour, bloom filters,
//! synced to disk) and, like the peers, from columns. CPU time is the process's own; the peers in this process run while
//! nothing else does.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use aggregator::lake::{Lake, SetKind, Table, WriterOptions};
use aggregator::record::FlowRecord;
use arrow::array::RecordBatch;
use cpu_time::ProcessTime;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::child::version;
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};
use crate::synth::{SynthConfig, make_records};

/// Rows and bytes of one run.
#[derive(Clone, Copy)]
struct Written {
    cpu: f64,
    bytes: f64,
}

fn timed(write: impl FnOnce() -> Result<u64, BenchError>) -> Result<Written, BenchError> {
    let begin = ProcessTime::try_now()?;
    let bytes = write()?;
    Ok(Written { cpu: begin.try_elapsed()?.as_secs_f64(), bytes: bytes as f64 })
}

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let folder = tempfile::tempdir()?;
    let flows = flows(options.rows)?;
    let rows = flows.len() as f64;
    let batches = columns(&flows, folder.path())?;
    let source = folder.path().join("source.parquet");
    plain(&batches, &source)?;
    let (mut records, mut batched, mut library) = (Vec::new(), Vec::new(), Vec::new());
    let mut pyarrow = match version("python3", "-V") {
        None => Err("python3 is not installed: Debian package python3, then pip install pyarrow".to_owned()),
        Some(_) => Ok(Vec::new()),
    };
    for turn in 0..options.runs.max(1) {
        let at = folder.path().join(format!("turn-{turn}"));
        std::fs::create_dir(&at)?;
        records.push(timed(|| to_lake(&at.join("records"), |w| Ok(w.flow(&flows)?)))?);
        batched.push(timed(|| {
            to_lake(&at.join("columns"), |w| batches.iter().try_for_each(|b| Ok(w.batch(Table::Flow, b)?)))
        })?);
        library.push(timed(|| plain(&batches, &at.join("plain.parquet")))?);
        if let Ok(list) = &mut pyarrow {
            match python(&source, &at.join("pyarrow.parquet")) {
                Ok(written) => list.push(written),
                Err(why) => pyarrow = Err(why),
            }
        }
        std::fs::remove_dir_all(&at)?;
    }
    let rate = |list: &[Written]| Runs(list.iter().map(|w| rows / w.cpu).collect());
    let size = |list: &[Written]| Runs(list.iter().map(|w| w.bytes / rows).collect());
    let peers = [("parquet ArrowWriter, defaults", Ok(library)), ("pyarrow write_table, defaults", pyarrow)];
    for (name, peer) in peers {
        let peer = peer.as_ref().map_err(Clone::clone);
        let rates = peer.clone().map(|p| rate(p));
        let sizes = peer.map(|p| size(p));
        let per = "rows/s per core";
        let of = |runs: &'_ Result<Runs, String>| runs.clone();
        let (rates, sizes) = (of(&rates), of(&sizes));
        emit(&beside(
            Part::Lake,
            "records to published set",
            per,
            &rate(&records),
            Better::More,
            name,
            rates.as_ref().map_err(Clone::clone),
        ));
        emit(&beside(
            Part::Lake,
            "columns to published set",
            per,
            &rate(&batched),
            Better::More,
            name,
            rates.as_ref().map_err(Clone::clone),
        ));
        emit(&beside(
            Part::Lake,
            "size",
            "bytes/row",
            &size(&records),
            Better::Less,
            name,
            sizes.as_ref().map_err(Clone::clone),
        ));
    }
    Ok(())
}

/// At least `rows` flow records (fewer only if a day has fewer), of a day as lively as it takes.
fn flows(rows: u64) -> Result<Vec<FlowRecord>, BenchError> {
    let mut flows: Vec<FlowRecord> = Vec::new();
    let config = SynthConfig { volume: 0.0005, ..SynthConfig::for_flows(rows) };
    make_records(&config, "bench", &mut (), |mut batch| {
        flows.append(&mut batch.flow);
        Ok(())
    })?;
    flows.truncate(rows as usize);
    Ok(flows)
}

/// The same rows as the lake's columns: written once and read back.
fn columns(flows: &[FlowRecord], folder: &Path) -> Result<Vec<RecordBatch>, BenchError> {
    let lake = Lake::open(folder.join("first"))?;
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("bench"))?;
    writer.flow(flows)?;
    writer.commit()?;
    let mut batches = Vec::new();
    for part in lake.parts(Table::Flow, None)? {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(&part.path)?)?.with_batch_size(8192).build()?;
        for batch in reader {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

fn to_lake(
    folder: &Path,
    write: impl FnOnce(&mut aggregator::lake::SetWriter) -> Result<(), BenchError>,
) -> Result<u64, BenchError> {
    let lake = Lake::open(folder)?;
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("bench"))?;
    write(&mut writer)?;
    writer.commit()?;
    Ok(lake.parts(Table::Flow, None)?.iter().map(|p| p.bytes).sum())
}

/// The Parquet library's writer as it comes.
fn plain(batches: &[RecordBatch], path: &Path) -> Result<u64, BenchError> {
    let Some(first) = batches.first() else { return Ok(0) };
    let mut writer = ArrowWriter::try_new(File::create(path)?, first.schema(), None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(std::fs::metadata(path)?.len())
}

/// pyarrow reads the columns into memory, then writes them; the writing is what it measures of itself.
fn python(source: &Path, out: &Path) -> Result<Written, String> {
    const SCRIPT: &str = "import sys, time\n\
        try:\n import pyarrow.parquet as pq\n\
        except ImportError: sys.exit('pyarrow is not installed: pip install pyarrow')\n\
        t = pq.read_table(sys.argv[1])\n\
        b = time.process_time(); pq.write_table(t, sys.argv[2]); print(time.process_time() - b)";
    let output =
        Command::new("python3").args(["-c", SCRIPT]).arg(source).arg(out).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr)
            .trim()
            .lines()
            .last()
            .unwrap_or("python3 failed")
            .to_owned());
    }
    let cpu = String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| "python3 gave no time".to_owned())?;
    let bytes = std::fs::metadata(out).map_err(|e| e.to_string())?.len() as f64;
    Ok(Written { cpu, bytes })
}
