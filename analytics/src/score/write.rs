//! The rows that are kept, as columns of `scores`.

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::lake::{Part, Source, schema};
use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, UInt8Array, UInt32Array, UInt64Array, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};

use super::before::Before;
use super::enrich::Enrichment;
use super::judge::Scored;
use super::rows::Speller;
use super::train::render;
use super::{ScoreError, parts};
use crate::words::WordCode;

/// What is the same in all rows.
pub(super) struct RunColumns<'a> {
    pub(super) run_id: &'a str,
    pub(super) scored_at: i64,
    pub(super) model: &'a str,
    pub(super) words: &'a str,
    pub(super) before: &'a Before,
}

/// P(word | document) of a token; `None` for one that was not counted.
pub(super) type ScoreOf<'a> = &'a dyn Fn(&str, WordCode) -> Option<f64>;

/// The records of the kept rows, in the rows' order: the scores' record columns, their words as text with their scores, and what context says of them.
struct Records {
    columns: RecordBatch,
    words: [Vec<String>; 2],
    scores: [Vec<Option<f64>>; 2],
    context: BTreeMap<&'static str, ArrayRef>,
}

fn fetch(
    kept: &[Scored],
    parts: &[Part],
    source: Source,
    speller: &mut Speller,
    score_of: ScoreOf<'_>,
) -> Result<Records, ScoreError> {
    let mut wanted: Vec<&str> = speller.columns().to_vec();
    let (scores, table) = (schema::scores(source), schema::of_table(source.table()));
    let carried = scores.fields().iter().map(|field| field.name().as_str());
    wanted.extend(carried.filter(|name| table.field_with_name(name).is_ok()));
    wanted.sort_unstable();
    wanted.dedup();

    let mut order: Vec<(u32, u64, usize)> =
        kept.iter().enumerate().map(|(at, row)| (row.candidate.part, row.candidate.row, at)).collect();
    order.sort_unstable();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut places = vec![(0_usize, 0_usize); kept.len()];
    let mut words = [vec![String::new(); kept.len()], vec![String::new(); kept.len()]];
    let mut scores = [vec![None; kept.len()], vec![None; kept.len()]];
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        let Some(part) = run.first().and_then(|(part, ..)| parts.get(*part as usize)) else { continue };
        let rows: Vec<u64> = run.iter().map(|(_, row, _)| *row).collect();
        parts::read(part, &wanted, Some(&rows), &mut |first, batch| {
            let mut spelt: Vec<(usize, [Option<WordCode>; 2])> = Vec::with_capacity(batch.num_rows());
            speller.spell(batch, &mut |row, tokens| {
                if let (Some((_, _, at)), Ok(tokens)) = (run.get(first as usize + row), tokens) {
                    spelt.push((*at, [Some(tokens.first.1), tokens.second.map(|second| second.1)]));
                    for (scores, token) in scores.iter_mut().zip([Some(tokens.first), tokens.second]) {
                        if let (Some(score), Some((document, word))) = (scores.get_mut(*at), token) {
                            *score = score_of(document, word);
                        }
                    }
                    if let Some(place) = places.get_mut(*at) {
                        *place = (batches.len(), row);
                    }
                }
                Ok(())
            })?;
            for (at, codes) in spelt {
                for (texts, code) in words.iter_mut().zip(codes) {
                    if let (Some(text), Some(code)) = (texts.get_mut(at), code) {
                        *text = render(speller.scheme(), code);
                    }
                }
            }
            batches.push(batch.clone());
            Ok(())
        })?;
    }
    let all: Vec<&RecordBatch> = batches.iter().collect();
    let columns = arrow::compute::interleave_record_batch(&all, &places).map_err(ScoreError::Schema)?;
    Ok(Records { columns, words, scores, context: BTreeMap::new() })
}

/// The batch of a run's kept rows, in rank order, with exactly the schema of the scores of the source.
pub(super) fn batch(
    kept: &[Scored],
    parts: &[Part],
    source: Source,
    speller: &mut Speller,
    run: &RunColumns<'_>,
    enrichment: &Enrichment<'_>,
    score_of: ScoreOf<'_>,
) -> Result<RecordBatch, ScoreError> {
    let mut records = fetch(kept, parts, source, speller, score_of)?;
    records.context = enrichment.columns(&records.columns)?;
    let schema = schema::scores(source);
    let columns: Result<Vec<ArrayRef>, ScoreError> =
        schema.fields().iter().map(|field| column(field, kept, &records, source, run)).collect();
    RecordBatch::try_new(schema, columns?).map_err(ScoreError::Schema)
}

fn column(
    field: &Field,
    kept: &[Scored],
    records: &Records,
    source: Source,
    run: &RunColumns<'_>,
) -> Result<ArrayRef, ScoreError> {
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; kept.len()])) };
    let numbers = |of: &dyn Fn(&Scored) -> Option<f64>| -> ArrayRef {
        Arc::new(kept.iter().map(|row| of(row).filter(|value| value.is_finite())).collect::<Float64Array>())
    };
    let [first, second] = &records.words;
    let of_side = |scores: &[Option<f64>]| -> ArrayRef { Arc::new(scores.iter().copied().collect::<Float64Array>()) };
    let [first_score, second_score] = &records.scores;
    Ok(match field.name().as_str() {
        "run_id" => texts(run.run_id),
        "scored_at" => Arc::new(TimestampMicrosecondArray::from(vec![run.scored_at; kept.len()]).with_timezone("UTC")),
        "record_id" => {
            let ids = kept.iter().map(|row| row.candidate.record_id);
            Arc::new(FixedSizeBinaryArray::try_from_iter(ids).map_err(ScoreError::Schema)?)
        }
        "rank" => Arc::new(kept.iter().map(|row| Some(row.rank)).collect::<UInt32Array>()),
        "fused_rank" => Arc::new(kept.iter().map(|row| Some(row.fused_rank)).collect::<UInt32Array>()),
        "group_id" => Arc::new(kept.iter().map(|row| Some(row.group_id)).collect::<UInt64Array>()),
        "days_before" => Arc::new(kept.iter().map(|row| run.before.days(row.group_id)).collect::<UInt8Array>()),
        "group_size" => Arc::new(kept.iter().map(|row| Some(row.group_size)).collect::<UInt32Array>()),
        "score" => numbers(&|row| Some(row.candidate.score)),
        "surprise_bits" => {
            numbers(&|row| Some(row.candidate.score).filter(|score| *score > 0.0).map(|score| -score.log2()))
        }
        "leo" => numbers(&|row| row.left_out.map(|scores| scores.probability)),
        "lift_bits" => numbers(&|row| row.left_out.map(|scores| scores.lift_bits)),
        "tail_log10" => numbers(&|row| row.left_out.map(|scores| scores.tail_log10)),
        "word_df" => Arc::new(kept.iter().map(|row| Some(row.word_df)).collect::<UInt64Array>()),
        "percentile" => numbers(&|row| Some(row.percentile)),
        "confidence" => numbers(&|row| Some(row.confidence)),
        "model" => texts(run.model),
        "words" => texts(run.words),
        "src_word" | "word" => Arc::new(StringArray::from_iter_values(first)),
        "dst_word" => Arc::new(StringArray::from_iter_values(second)),
        "src_score" => of_side(first_score),
        "dst_score" => of_side(second_score),
        "deciding_side" => Arc::new(
            kept.iter()
                .map(|row| match (source, row.candidate.second) {
                    (Source::Flow, false) => Some("src"),
                    (Source::Flow, true) => Some("dst"),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        "explanation" => explanations(kept)?,
        "detectors" => detectors(kept, field)?,
        "rules_applied" => texts_of(kept, field)?,
        "usual" => usual(kept, field)?,
        "score_before" => numbers(&|row| row.score_before),
        name => match (records.columns.column_by_name(name).or_else(|| records.context.get(name)), field.data_type()) {
            (Some(column), _) => Arc::clone(column),
            (None, DataType::List(item)) if !field.is_nullable() => {
                let offsets = OffsetBuffer::new_zeroed(kept.len());
                let values = new_empty_array(item.data_type());
                Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None).map_err(ScoreError::Schema)?)
            }
            // Not known is null.
            (None, data_type) => new_null_array(data_type, kept.len()),
        },
    })
}

fn detectors(kept: &[Scored], field: &Field) -> Result<ArrayRef, ScoreError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ScoreError::Column { name: "detectors", expected: "a list" });
    };
    let of = || kept.iter().flat_map(|row| row.fired.iter());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(of().map(|fired| Some(fired.name.as_str())).collect::<StringArray>()),
        Arc::new(of().map(|fired| Some(fired.strength.clamp(-1e9, 1e9))).collect::<Float64Array>()),
        Arc::new(of().map(|fired| Some(fired.evidence.as_str())).collect::<StringArray>()),
    ];
    let values = StructArray::try_new(schema::detector(), columns, None).map_err(ScoreError::Schema)?;
    let offsets = OffsetBuffer::from_lengths(kept.iter().map(|row| row.fired.len()));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(values), None).map_err(ScoreError::Schema)?))
}

fn usual(kept: &[Scored], field: &Field) -> Result<ArrayRef, ScoreError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ScoreError::Column { name: "usual", expected: "a list" });
    };
    let of = || kept.iter().flat_map(|row| row.explanation.usual.iter());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(of().map(|usual| Some(usual.feature)).collect::<StringArray>()),
        Arc::new(of().map(|usual| Some(usual.value.as_str())).collect::<StringArray>()),
        Arc::new(of().map(|usual| Some(usual.share)).collect::<Float64Array>()),
    ];
    let values = StructArray::try_new(schema::usual(), columns, None).map_err(ScoreError::Schema)?;
    let offsets = OffsetBuffer::from_lengths(kept.iter().map(|row| row.explanation.usual.len()));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(values), None).map_err(ScoreError::Schema)?))
}

fn texts_of(kept: &[Scored], field: &Field) -> Result<ArrayRef, ScoreError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ScoreError::Column { name: "rules_applied", expected: "a list" });
    };
    let offsets = OffsetBuffer::from_lengths(kept.iter().map(|row| row.rules.len()));
    let values: StringArray = kept.iter().flat_map(|row| row.rules.iter()).map(Some).collect();
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(values), None).map_err(ScoreError::Schema)?))
}

fn explanations(kept: &[Scored]) -> Result<ArrayRef, ScoreError> {
    let of = || kept.iter().map(|row| &row.explanation);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(of().map(|e| Some(e.deciding_score)).collect::<Float64Array>()),
        Arc::new(of().map(|e| e.feature).collect::<StringArray>()),
        Arc::new(of().map(|e| e.value.as_deref()).collect::<StringArray>()),
        Arc::new(of().map(|e| e.host_share).collect::<Float64Array>()),
        Arc::new(of().map(|e| e.all_share).collect::<Float64Array>()),
        Arc::new(of().map(|e| e.nearest_common.as_deref()).collect::<StringArray>()),
    ];
    Ok(Arc::new(StructArray::try_new(schema::explanation(), columns, None).map_err(ScoreError::Schema)?))
}
