//! From gathered columns to the column chunks of a row group.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use zstd::bulk::Compressor;

use super::column::{Column, Leaf, Scratch, Wanted};
use super::levels::{self, Levels, Repeats};
use super::text::Texts;
use super::thrift::{self, Code};
use crate::lake::Table;
use crate::lake::part_file::PartFile;

/// Level 1: 3 costs half as much time again and saves less than a hundredth.
const LEVEL: i32 = 1;

/// Chunks shorter than this are not compressed: the frame of a compressor takes what it saves.
const TOO_SHORT: usize = 128;

/// Bytes of a dictionary and of the first page that are compressed to see whether it helps.
const SAMPLE: usize = 4 << 10;

/// What a compressor must leave at most, in hundredths: less saving is not worth anybody's time.
const WORTH: usize = 92;

/// Row groups for which it holds what a sample of a column showed: columns of one set are alike, and where hours are
/// many and short, sampling each costs as much as compressing it.
const VERDICT_GROUPS: u32 = 16;

/// What is asked of each column of a table, by the properties of its files.
#[derive(Debug)]
pub(in crate::lake) struct Specs {
    table: Table,
    columns: Vec<Spec>,
}

#[derive(Debug)]
struct Spec {
    column: ColumnDescPtr,
    zstd: bool,
    statistics: EnabledStatistics,
    bloom: Option<f64>,
}

impl Specs {
    /// By the properties of a file.
    pub(in crate::lake) fn new(table: Table, schema: &SchemaDescriptor, properties: &WriterProperties) -> Self {
        let of = |column: &ColumnDescPtr| {
            let path = column.path();
            Spec {
                zstd: properties.compression(path) != Compression::UNCOMPRESSED,
                statistics: properties.statistics_enabled(path),
                bloom: properties.bloom_filter_properties(path).map(|bloom| bloom.fpp()),
                column: ColumnDescPtr::clone(column),
            }
        };
        Self { table, columns: schema.columns().iter().map(of).collect() }
    }
}

/// Whether compressing a column was worth it, and for how many row groups more that is believed.
#[derive(Clone, Copy, Default)]
struct Verdict {
    zstd: bool,
    groups: u32,
}

/// Buffers and the compressor of an encoder, used again for each column.
pub(in crate::lake) struct Workshop {
    compressor: Compressor<'static>,
    /// Bodies of the dictionary page and the data pages.
    raw: Vec<u8>,
    packed: Vec<u8>,
    /// The chunk as it goes to the file.
    out: Vec<u8>,
    places: Places,
    scratch: Scratch,
    /// Of the columns of each table that was written.
    verdicts: BTreeMap<Table, Vec<Verdict>>,
}

/// Room for what is known of the rows of a page.
#[derive(Default)]
struct Places {
    ranks: Vec<u32>,
    levels: Vec<u8>,
    at: Vec<u32>,
}

/// A chunk that is complete, for the library to copy to its file.
struct Complete<'b>(&'b [u8]);

impl Length for Complete<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<'b> ChunkReader for Complete<'b> {
    type T = &'b [u8];

    fn get_read(&self, start: u64) -> Result<&'b [u8]> {
        usize::try_from(start).ok().and_then(|start| self.0.get(start..)).ok_or_else(|| past_the_end(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.get_read(start)?.get(..length).ok_or_else(|| past_the_end(start))?;
        Ok(Bytes::copy_from_slice(bytes))
    }
}

fn past_the_end(start: u64) -> ParquetError {
    ParquetError::General(format!("a column chunk has no such bytes after {start}"))
}

impl Workshop {
    /// Empty buffers.
    pub(in crate::lake) fn new() -> std::io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(LEVEL)?,
            raw: Vec::new(),
            packed: Vec::new(),
            out: Vec::new(),
            places: Places::default(),
            scratch: Scratch::default(),
            verdicts: BTreeMap::new(),
        })
    }
}

/// Writes the columns of one row group, in the order of the schema.
pub(in crate::lake) struct GroupWriter<'a> {
    group: SerializedRowGroupWriter<'a, PartFile>,
    table: Table,
    specs: std::iter::Enumerate<std::slice::Iter<'a, Spec>>,
    workshop: &'a mut Workshop,
    /// The rows, in the order they are to have.
    order: &'a [u32],
    /// How many of them make a page.
    page_rows: usize,
}

/// The levels of a column.
enum Shape<'a> {
    /// One value in each row.
    Full,
    Optional(&'a Levels),
    Repeated(&'a Repeats),
    /// No value in any row.
    Empty,
}

/// One data page: its levels, its values, and where its body lies.
struct Page {
    rows: usize,
    levels: usize,
    values: usize,
    body: Range<usize>,
}

impl<'a> GroupWriter<'a> {
    /// The next row group of `file`: the rows in this order, in pages of so many.
    pub(in crate::lake) fn begin(
        file: &'a mut SerializedFileWriter<PartFile>,
        specs: &'a Specs,
        workshop: &'a mut Workshop,
        order: &'a [u32],
        page_rows: usize,
    ) -> Result<Self> {
        let group = file.next_row_group()?;
        let Specs { table, columns } = specs;
        workshop.verdicts.entry(*table).or_default().resize(columns.len(), Verdict::default());
        let specs = columns.iter().enumerate();
        Ok(Self { group, table: *table, specs, workshop, order, page_rows: page_rows.max(1) })
    }

    /// All columns are written.
    pub(in crate::lake) fn end(self) -> Result<()> {
        self.group.close().map(drop)
    }

    /// Writes the next column and leaves it empty.
    pub(in crate::lake) fn column(&mut self, column: &mut Column<impl Leaf>) -> Result<()> {
        let Column { values, defined } = column;
        self.check(defined.len())?;
        self.chunk(values, &if defined.nulls() == 0 { Shape::Full } else { Shape::Optional(defined) })?;
        values.clear();
        defined.clear();
        Ok(())
    }

    /// Writes the next column, of lists, and leaves it empty; the lists may be shared by several columns.
    pub(in crate::lake) fn repeated(&mut self, lists: &Repeats, values: &mut impl Leaf) -> Result<()> {
        self.check(lists.len())?;
        self.chunk(values, &Shape::Repeated(lists))?;
        values.clear();
        Ok(())
    }

    fn check(&self, rows: usize) -> Result<()> {
        if rows == self.order.len() {
            return Ok(());
        }
        Err(ParquetError::General(format!("a column of {rows} for {} rows", self.order.len())))
    }

    /// The next column has no value in any row.
    pub(in crate::lake) fn nulls(&mut self) -> Result<()> {
        self.chunk(&mut Nothing, &Shape::Empty)
    }

    /// The next column has the same text in every row.
    pub(in crate::lake) fn constant(&mut self, text: &str) -> Result<()> {
        let mut values = Texts::constant(text, self.order.len());
        self.chunk(&mut values, &Shape::Full)
    }

    fn chunk(&mut self, values: &mut impl Leaf, shape: &Shape<'_>) -> Result<()> {
        let Some((at, spec)) = self.specs.next() else {
            return Err(ParquetError::General("more columns than the schema has".to_owned()));
        };
        let nulls = match shape {
            Shape::Full => 0,
            Shape::Optional(levels) => levels.nulls(),
            Shape::Repeated(lists) => lists.empties(),
            Shape::Empty => self.order.len(),
        };
        let summary = values.summary(Wanted {
            statistics: (spec.statistics != EnabledStatistics::None).then_some(nulls as u64),
            bloom: spec.bloom,
        })?;
        let dictionary = summary.dictionary.filter(|_| values.len() > 0);

        let Workshop { raw, places, scratch, .. } = &mut *self.workshop;
        raw.clear();
        if let Some((bytes, _)) = &dictionary {
            raw.extend_from_slice(bytes);
        }
        let dictionary_end = raw.len();
        if let Shape::Optional(defined) = shape {
            defined.ranks(&mut places.ranks);
        }
        let optional = spec.column.max_def_level() > 0;
        scratch.for_compression = spec.zstd;
        let pages: Vec<Page> = self
            .order
            .chunks(self.page_rows)
            .map(|rows| page(rows, values, shape, optional, places, scratch, raw))
            .collect();
        if values.len() != pages.iter().map(|page| page.values).sum::<usize>() {
            return Err(ParquetError::General(format!("{} has more values than its levels", spec.column.name())));
        }
        let encoding = if values.len() > 0 { values.encoding() } else { Code::Plain };
        // The beginning of a page with its bytes apart says nothing of the rest: it is the bytes that differ most.
        let is_split = encoding == Code::ByteStreamSplit && self.workshop.raw.len() >= TOO_SHORT;
        let zstd = spec.zstd && (is_split || self.workshop.is_worth_it(self.table, at, dictionary_end)?);
        let mut out = std::mem::take(&mut self.workshop.out);
        out.clear();
        let mut uncompressed = 0;
        if let Some((_, distinct)) = dictionary {
            let body = self.workshop.body(0..dictionary_end, zstd)?;
            let header = out.len();
            thrift::dictionary_page(int(distinct)?, int(dictionary_end)?, int(body.len())?, &mut out);
            uncompressed += out.len() - header + dictionary_end;
            out.extend_from_slice(body);
        }
        let data_at = out.len();
        let mut offsets = OffsetIndexBuilder::new();
        for page in &pages {
            let (body, at) = (self.workshop.body(page.body.clone(), zstd)?, out.len());
            thrift::data_page(int(page.levels)?, encoding, int(page.body.len())?, int(body.len())?, &mut out);
            uncompressed += out.len() - at + page.body.len();
            out.extend_from_slice(body);
            offsets.append_offset_and_size(at as i64, int(out.len() - at)?);
            offsets.append_row_count(page.rows as i64);
        }
        let column_index = match (spec.statistics, shape) {
            (EnabledStatistics::Page, Shape::Full) => {
                column_index(values, self.order.chunks(self.page_rows), &spec.column)?
            }
            _ => None,
        };
        let (encodings, counts) = encodings(encoding, dictionary.is_some(), pages.len());
        let mut metadata = ColumnChunkMetaData::builder(ColumnDescPtr::clone(&spec.column))
            .set_compression(if zstd { Compression::ZSTD(Default::default()) } else { Compression::UNCOMPRESSED })
            .set_encodings(encodings)
            .set_page_encoding_stats(counts)
            .set_total_compressed_size(out.len() as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(pages.iter().map(|page| page.levels as i64).sum())
            .set_data_page_offset(data_at as i64)
            .set_dictionary_page_offset(dictionary.is_some().then_some(0));
        if let Some(statistics) = summary.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: out.len() as u64,
            rows_written: self.order.len() as u64,
            metadata: metadata.build()?,
            bloom_filter: summary.bloom,
            column_index,
            offset_index: Some(offsets.build()),
        };
        self.group.append_column(&Complete(&out), close)?;
        self.workshop.out = out;
        Ok(())
    }
}

impl Workshop {
    /// Whether to compress the raw bytes, which are those of a table's column number `column`.
    fn is_worth_it(&mut self, table: Table, column: usize, dictionary: usize) -> Result<bool> {
        if self.raw.len() < TOO_SHORT {
            return Ok(false);
        }
        if let Some(verdict) = self.verdicts.get_mut(&table).and_then(|of| of.get_mut(column))
            && verdict.groups > 0
        {
            verdict.groups -= 1;
            return Ok(verdict.zstd);
        }
        let zstd = self.sample(dictionary)?;
        if let Some(verdict) = self.verdicts.get_mut(&table).and_then(|of| of.get_mut(column)) {
            *verdict = Verdict { zstd, groups: VERDICT_GROUPS };
        }
        Ok(zstd)
    }

    /// Compresses the beginnings of the dictionary (which ends at `dictionary`) and of the pages, to see what it gives.
    fn sample(&mut self, dictionary: usize) -> Result<bool> {
        let (mut sampled, mut left) = (0, 0);
        for range in [0..dictionary, dictionary..self.raw.len()] {
            let sample = range.start..range.end.min(range.start + SAMPLE);
            let length = sample.len();
            if length == 0 {
                continue;
            }
            let packed = self.body(sample, true)?.len();
            // In proportion to what it stands for.
            sampled += range.len();
            left += (range.len() as f64 * packed as f64 / length as f64) as usize;
        }
        Ok(left * 100 <= sampled * WORTH)
    }

    /// A part of the raw bytes, compressed if wanted.
    fn body(&mut self, range: Range<usize>, zstd: bool) -> Result<&[u8]> {
        let raw = self.raw.get(range).unwrap_or_default();
        if !zstd {
            return Ok(raw);
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.compressor.compress_to_buffer(raw, &mut self.packed)?;
        Ok(&self.packed)
    }
}

/// Appends the body of a page: levels, then values.
fn page(
    rows: &[u32],
    values: &impl Leaf,
    shape: &Shape<'_>,
    optional: bool,
    places: &mut Places,
    scratch: &mut Scratch,
    raw: &mut Vec<u8>,
) -> Page {
    let begin = raw.len();
    let Places { ranks, levels, at } = places;
    at.clear();
    let count = match shape {
        Shape::Full => {
            if optional {
                levels::push_run(rows.len(), 1, raw);
            }
            rows.len()
        }
        Shape::Empty => {
            levels::push_run(rows.len(), 0, raw);
            rows.len()
        }
        Shape::Optional(defined) => {
            defined.encode(rows, ranks, levels, at, raw);
            rows.len()
        }
        Shape::Repeated(lists) => lists.encode(rows, levels, at, raw),
    };
    let at = if matches!(shape, Shape::Full) { rows } else { at };
    if values.len() > 0 {
        values.page(at, scratch, raw);
    }
    Page { rows: rows.len(), levels: count, values: at.len(), body: begin..raw.len() }
}

fn int(value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| ParquetError::General(format!("{value} bytes or values are too many for a page")))
}

fn encodings(data: Code, dictionary: bool, pages: usize) -> (Vec<Encoding>, Vec<PageEncodingStats>) {
    let data = match data {
        Code::Plain => Encoding::PLAIN,
        Code::Rle => Encoding::RLE,
        Code::DeltaBinaryPacked => Encoding::DELTA_BINARY_PACKED,
        Code::DeltaByteArray => Encoding::DELTA_BYTE_ARRAY,
        Code::ByteStreamSplit => Encoding::BYTE_STREAM_SPLIT,
        Code::RleDictionary => Encoding::RLE_DICTIONARY,
    };
    let mut encodings = vec![Encoding::RLE, data];
    let count = i32::try_from(pages).unwrap_or(i32::MAX);
    let mut counts = vec![PageEncodingStats { page_type: PageType::DATA_PAGE, encoding: data, count }];
    if dictionary {
        encodings.push(Encoding::PLAIN);
        counts
            .insert(0, PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 });
    }
    (encodings, counts)
}

/// The column index of numbers without nulls; none for other columns.
fn column_index<'a>(
    values: &impl Leaf,
    pages: impl Iterator<Item = &'a [u32]>,
    column: &ColumnDescPtr,
) -> Result<Option<ColumnIndexMetaData>> {
    let Some(bounds) = pages.map(|rows| values.bounds(rows)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut index = ColumnIndexBuilder::new(column.physical_type());
    for (least, greatest) in &bounds {
        index.append(false, least.clone(), greatest.clone(), 0);
    }
    // Unordered is always right. Rows are sorted by time, but a page's latest packet may be later than the next one's.
    index.set_boundary_order(BoundaryOrder::UNORDERED);
    index.build().map(Some)
}

/// A column without values.
struct Nothing;

impl Leaf for Nothing {
    fn len(&self) -> usize {
        0
    }
    fn summary(&mut self, _: Wanted) -> Result<super::column::Summary> {
        Ok(super::column::Summary::default())
    }
    fn encoding(&self) -> Code {
        Code::Plain
    }
    fn page(&self, _: &[u32], _: &mut Scratch, _: &mut Vec<u8>) {}
    fn clear(&mut self) {}
}
