//! What is written here is what the Parquet library reads.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, UInt16Type, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use super::*;
use crate::lake::{self, part_file::PartFile};

/// A row of every kind of column.
#[derive(Clone, Debug)]
struct Row {
    id: [u8; 16],
    time: i64,
    count: Option<u64>,
    signed: i32,
    port: Option<u16>,
    word: Option<&'static str>,
    text: Option<String>,
    long: String,
    fixed: [u8; 5],
    list: Vec<(String, u16)>,
}

#[derive(Default)]
struct Table {
    id: Column<Fixed<16>>,
    time: Column<Packed<i64>>,
    count: Column<Packed<u64, Split>>,
    signed: Column<Packed<i32, Split>>,
    port: Column<Coded<u16>>,
    word: Column<Keyed<Word>>,
    text: Column<Texts>,
    long: Column<Plain>,
    fixed: Column<FixedText<5>>,
    lists: Repeats,
    names: Texts,
    numbers: Coded<u16>,
    near: Column<Packed<i64, Whole>>,
}

fn schema() -> SchemaRef {
    let item = DataType::Struct(
        vec![Field::new("name", DataType::Utf8, false), Field::new("number", DataType::UInt16, false)].into(),
    );
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::FixedSizeBinary(16), false),
        Field::new("time", DataType::Int64, false),
        Field::new("count", DataType::UInt64, true),
        Field::new("signed", DataType::Int32, false),
        Field::new("port", DataType::UInt16, true),
        Field::new("word", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("long", DataType::Utf8, false),
        Field::new("fixed", DataType::Utf8, false),
        Field::new("list", DataType::List(Arc::new(Field::new("item", item, false))), false),
        Field::new("nothing", DataType::Utf8, true),
        Field::new("same", DataType::Utf8, false),
        Field::new("near", DataType::Int64, false),
    ]))
}

/// Row groups, in pages of so many rows.
fn write(groups: &[Vec<Row>], page: usize, zstd: bool) -> File {
    let codec = if zstd { Compression::ZSTD(ZstdLevel::default()) } else { Compression::UNCOMPRESSED };
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(ColumnPath::from("time"), EnabledStatistics::Page)
        .set_column_bloom_filter_enabled(ColumnPath::from("text"), true)
        .set_column_bloom_filter_enabled(ColumnPath::from("fixed"), true)
        .build();
    let file = tempfile::tempfile().unwrap();
    let arrow = ArrowWriter::try_new(PartFile::new(file.try_clone().unwrap()), schema(), Some(properties)).unwrap();
    let (mut writer, _) = arrow.into_serialized_writer().unwrap();
    let specs = Specs::new(lake::Table::Flow, writer.schema_descr(), writer.properties());
    let mut workshop = Workshop::new().unwrap();
    let mut table = Table::default();
    for rows in groups {
        // Rows come in another order than they are written in.
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by_key(|at| at.reverse_bits());
        order.iter().for_each(|at| table.push(&rows[*at as usize]));
        let mut back = vec![0; order.len()];
        (0u32..).zip(&order).for_each(|(at, row)| back[*row as usize] = at);
        let mut out = GroupWriter::begin(&mut writer, &specs, &mut workshop, &back, page).unwrap();
        table.write(&mut out);
        out.end().unwrap();
    }
    writer.finish().unwrap();
    file
}

impl Table {
    fn push(&mut self, row: &Row) {
        self.id.push(row.id);
        self.time.push(row.time);
        self.count.push_opt(row.count);
        self.signed.push(row.signed);
        self.port.push_opt(row.port);
        self.word.push_opt(row.word);
        self.text.push_opt(row.text.as_deref());
        self.long.push(row.long.as_str());
        self.fixed.push(row.fixed);
        self.near.push(row.time);
        self.lists.push(row.list.len());
        for (name, number) in &row.list {
            self.names.push(name.as_str());
            self.numbers.push(*number);
        }
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) {
        out.column(&mut self.id).unwrap();
        out.column(&mut self.time).unwrap();
        out.column(&mut self.count).unwrap();
        out.column(&mut self.signed).unwrap();
        out.column(&mut self.port).unwrap();
        out.column(&mut self.word).unwrap();
        out.column(&mut self.text).unwrap();
        out.column(&mut self.long).unwrap();
        out.column(&mut self.fixed).unwrap();
        out.repeated(&self.lists, &mut self.names).unwrap();
        out.repeated(&self.lists, &mut self.numbers).unwrap();
        out.nulls().unwrap();
        out.constant("always").unwrap();
        out.column(&mut self.near).unwrap();
        self.lists.clear();
    }
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let column = batch.column(column).as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

fn check_rows(batches: &[RecordBatch], rows: &[Row]) {
    let mut expected = rows.iter();
    for batch in batches {
        for (row, want) in (0..batch.num_rows()).zip(&mut expected) {
            assert_eq!(batch.column(0).as_fixed_size_binary().value(row), want.id);
            assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(row), want.time);
            let counts = batch.column(2).as_primitive::<UInt64Type>();
            assert_eq!((!counts.is_null(row)).then(|| counts.value(row)), want.count);
            assert_eq!(batch.column(3).as_primitive::<Int32Type>().value(row), want.signed);
            let ports = batch.column(4).as_primitive::<UInt16Type>();
            assert_eq!((!ports.is_null(row)).then(|| ports.value(row)), want.port);
            assert_eq!(text(batch, 5, row).as_deref(), want.word);
            assert_eq!(text(batch, 6, row), want.text);
            assert_eq!(text(batch, 7, row).as_ref(), Some(&want.long));
            assert_eq!(text(batch, 8, row).map(String::into_bytes).as_deref(), Some(want.fixed.as_slice()));
            let list = batch.column(9).as_list::<i32>().value(row);
            let (names, numbers) = (list.as_struct().column(0), list.as_struct().column(1));
            let list: Vec<(String, u16)> = (0..list.len())
                .map(|i| (names.as_string::<i32>().value(i).into(), numbers.as_primitive::<UInt16Type>().value(i)))
                .collect();
            assert_eq!(list, want.list);
            assert_eq!((text(batch, 10, row), text(batch, 11, row).as_deref()), (None, Some("always")));
            assert_eq!(batch.column(12).as_primitive::<Int64Type>().value(row), want.time);
        }
    }
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows.len());
}

fn read(file: &File) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap())
        .unwrap()
        .build()
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect()
}

fn check_metadata(file: &File, groups: &[Vec<Row>], page: usize) {
    let footer = ArrowReaderMetadata::load(file, Default::default()).unwrap();
    assert_eq!(footer.metadata().num_row_groups(), groups.len());
    let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
    for (at, rows) in groups.iter().enumerate() {
        let group = footer.metadata().row_group(at);
        assert_eq!(group.num_rows(), rows.len() as i64);
        let Some(Statistics::Int64(times)) = group.column(1).statistics() else {
            unreachable!("times have statistics")
        };
        let (least, greatest) = (rows.iter().map(|r| r.time).min(), rows.iter().map(|r| r.time).max());
        assert_eq!((times.min_opt().copied(), times.max_opt().copied()), (least, greatest));
        let Some(Statistics::Int64(counts)) = group.column(2).statistics() else { unreachable!("counts have, too") };
        // Unsigned order.
        let count = |value: Option<&i64>| value.map(|v| *v as u64);
        assert_eq!(count(counts.min_opt()), rows.iter().filter_map(|r| r.count).min());
        assert_eq!(count(counts.max_opt()), rows.iter().filter_map(|r| r.count).max());
        assert_eq!(counts.null_count_opt(), Some(rows.iter().filter(|r| r.count.is_none()).count() as u64));
        for column in group.columns() {
            assert!(column.offset_index_offset().is_some(), "{}", column.column_path());
        }
        let mut found = 0;
        let chunk = group.column(6);
        if let Some(bloom) = Sbbf::read_from_column_chunk(chunk, file).unwrap() {
            for text in rows.iter().filter_map(|r| r.text.as_deref()) {
                assert!(bloom.check(&text));
                found += 1;
            }
        }
        assert_eq!(found, rows.iter().filter(|r| r.text.is_some()).count());
        // Every page begins with a row, so that readers can skip.
        let mut pages = reader.get_row_group(at).unwrap().get_column_page_reader(9).unwrap();
        let mut data = 0;
        while let Some(next) = pages.get_next_page().unwrap() {
            data += usize::from(next.is_data_page());
        }
        assert_eq!(data, rows.len().div_ceil(page));
    }
}

fn row() -> impl Strategy<Value = Row> {
    let words = prop::sample::select(vec!["dns", "http", "", "a longer word than sixteen bytes"]);
    let texts = prop_oneof![Just(String::new()), "[a-c]{1,3}", "\\PC{0,80}"];
    (
        (any::<[u8; 16]>(), any::<i64>(), prop::option::weighted(0.7, any::<u64>()), any::<i32>()),
        prop::option::weighted(0.8, any::<u16>()),
        prop::option::of(words),
        prop::option::of(texts.clone()),
        texts,
        // Pages in which all begin alike, and others.
        prop_oneof![5 => "1:[0-9A-Za-z]{3}", 1 => "[0-9A-Za-z]{5}"],
        prop::collection::vec(("[a-z]{0,4}", 0u16..4), 0..4),
    )
        .prop_map(|((id, time, count, signed), port, word, text, long, fixed, list)| {
            let fixed = fixed.as_bytes().first_chunk().copied().unwrap_or_default();
            Row { id, time, count, signed, port, word, text, long, fixed, list }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reads_back(
        rows in prop::collection::vec(row(), 1..400),
        repeated in 1usize..8,
        page in 1usize..200,
        zstd: bool,
        nulls: bool,
    ) {
        // Runs, so that both halves of the hybrid are used; and columns without any value.
        let mut rows: Vec<Row> = rows.into_iter().flat_map(|row| std::iter::repeat_n(row, repeated)).collect();
        if nulls {
            rows.iter_mut().for_each(|row| (row.count, row.word, row.list) = (None, None, Vec::new()));
        }
        let split = rows.len() / 3;
        let groups = [rows[split..].to_vec(), rows[..split].to_vec()];
        let groups: Vec<Vec<Row>> = groups.into_iter().filter(|group| !group.is_empty()).collect();
        let file = write(&groups, page, zstd);
        check_rows(&read(&file), &groups.concat());
        check_metadata(&file, &groups, page);
    }
}

#[test]
fn many_values_and_long_pages() {
    // More values than a byte or two bytes number, and differences of more than 32 bits.
    let rows: Vec<Row> = (0..70_000u64)
        .map(|i| Row {
            id: (i as u128).to_be_bytes(),
            time: (i as i64).wrapping_mul(i64::MAX / 5),
            count: (i % 3 > 0).then_some(i * i),
            signed: (i as i32).wrapping_mul(0x0765_4321),
            port: Some(i as u16),
            word: Some("tcp"),
            text: Some(format!("host-{i}")),
            long: format!("https://example.org/{}", i % 1_000),
            fixed: *b"fixed",
            list: vec![(format!("n{}", i % 66_000), i as u16); (i % 4) as usize],
        })
        .collect();
    let groups = [rows];
    let file = write(&groups, 16_384, true);
    check_rows(&read(&file), &groups[0]);
    check_metadata(&file, &groups, 16_384);
}

#[test]
fn a_column_of_another_length_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let arrow = ArrowWriter::try_new(PartFile::new(file), schema(), None).unwrap();
    let (mut writer, _) = arrow.into_serialized_writer().unwrap();
    let specs = Specs::new(lake::Table::Flow, writer.schema_descr(), writer.properties());
    let mut workshop = Workshop::new().unwrap();
    let mut out = GroupWriter::begin(&mut writer, &specs, &mut workshop, &[1, 0], 10).unwrap();
    let mut ids = Column::<Fixed<16>>::default();
    ids.push([0; 16]);
    assert!(out.column(&mut ids).unwrap_err().to_string().contains("1 for 2 rows"));
}
