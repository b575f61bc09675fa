//! A day's model in a file: what the next day begins from, what new records are scored against, what drift is measured by.
//!
//! `LAKE/models/ID.model`: a magic number, a header in JSON, the texts of the words and the names of the documents, and the model ([`Model::write`], with
//! its own checksum). Written beside and renamed; the newest [`KEPT`] of a source and word scheme stay.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aggregator::lake::{Day, Lake, Source};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::ScoreError;
use super::fuse::Calibration;
use super::request::ScoreRequest;
use super::train::{DayCorpus, render};
use crate::lda::Model;
use crate::words::Scheme;
use crate::words::rich::Popularity;

const MAGIC: &[u8; 8] = b"SpotMod1";

/// Files kept of a source and word scheme.
pub const KEPT: usize = 14;

/// A model is gone on from for so many days.
const FRESH: i32 = 7;

/// Bounds of what is read: entries of each kind, and bytes of one text.
pub(super) const ENTRIES: usize = 4_000_000;
pub(super) const TEXT: usize = 4_096;

/// What must be equal for two models to be of the same kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Kind {
    pub(super) source: String,
    pub(super) words: String,
    pub(super) features: Vec<String>,
    pub(super) topics: usize,
    pub(super) user_domain: String,
}

impl Kind {
    pub(super) fn of(request: &ScoreRequest) -> Self {
        Self {
            source: request.source.as_str().into(),
            words: request.words.as_str().into(),
            features: request.features.clone(),
            topics: request.topics,
            user_domain: request.user_domain.clone(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    model: String,
    kind: Kind,
    pub(super) date: String,
    pub(super) words: usize,
    pub(super) documents: usize,
    calibrations: Vec<Calibration>,
    pub(super) popularity: Vec<usize>,
}

/// A model as it was kept.
#[derive(Debug)]
pub struct SavedModel {
    /// Its identity.
    pub id: String,
    /// The day it was trained on.
    pub date: Day,
    pub(super) words: HashMap<String, u32>,
    pub(super) documents: HashMap<String, u32>,
    pub(super) model: Model,
    pub(super) calibrations: Vec<Calibration>,
    pub(super) popularity: Vec<Popularity>,
}

fn folder(lake: &Lake) -> PathBuf {
    lake.dir().join("models")
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Keeps a model. Gives its file's name within the lake.
pub(super) fn keep(
    lake: &Lake,
    request: &ScoreRequest,
    id: &str,
    day: &DayCorpus,
    model: &Model,
    scheme: &dyn Scheme,
    (calibrations, popularity): (Vec<Calibration>, Vec<&Popularity>),
) -> Result<String, ScoreError> {
    let folder = folder(lake);
    let name = format!("{id}.model");
    let path = folder.join(&name);
    let wrong = |source| ScoreError::Open { path: path.clone(), source };
    fs::create_dir_all(&folder).map_err(wrong)?;
    let staged = folder.join(format!(".{name}.{}", uuid::Uuid::now_v7()));
    let write = || -> io::Result<()> {
        let header = Header {
            model: id.to_owned(),
            kind: Kind::of(request),
            date: request.date.to_string(),
            words: day.codes().len(),
            documents: day.corpus.documents(),
            calibrations,
            popularity: popularity.iter().map(|list| list.len()).collect(),
        };
        let json = serde_json::to_vec(&header)?;
        let mut to = BufWriter::new(File::create(&staged)?);
        to.write_all(MAGIC)?;
        to.write_all(&(json.len() as u64).to_le_bytes())?;
        to.write_all(&json)?;
        let mut text = |text: &str| {
            let cut = text.as_bytes().get(..TEXT).unwrap_or(text.as_bytes());
            to.write_all(&(cut.len() as u32).to_le_bytes())?;
            to.write_all(cut)
        };
        for code in day.codes() {
            text(&render(scheme, *code))?;
        }
        for document in 0..day.corpus.documents() {
            text(day.document_name(document as u32))?;
        }
        for list in popularity {
            list.write(&mut to)?;
        }
        model.write(&mut to)?;
        to.flush()?;
        to.get_ref().sync_all()?;
        fs::rename(&staged, &path)?;
        File::open(&folder)?.sync_all()
    };
    write().map_err(|error| {
        drop(fs::remove_file(&staged));
        wrong(error)
    })?;
    Ok(format!("models/{name}"))
}

/// Removes the oldest files of the source and scheme past [`KEPT`]. Names begin with source, scheme and date.
pub(super) fn tidy(lake: &Lake, request: &ScoreRequest) -> Result<(), ScoreError> {
    let prefix = format!("{}-{}-", request.source.as_str(), request.words.as_str());
    let mut models = lake.state().models(request.source)?;
    models.retain(|model| model.file.is_some() && model.model_id.starts_with(&prefix));
    for mut model in models.into_iter().skip(KEPT) {
        if let Some(file) = model.file.take() {
            match fs::remove_file(lake.dir().join(&file)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%file, %source, "an old model stays");
                }
                _ => lake.state().put_model(&model)?,
            }
        }
    }
    Ok(())
}

/// The newest model of the kind trained on one of the [`FRESH`] days before a date. One that cannot be read is left out, with a warning.
pub(super) fn before(lake: &Lake, kind: &Kind, source: Source, date: Day) -> Result<Option<SavedModel>, ScoreError> {
    newest(lake, kind, source, &|of| of.0 < date.0 && of.0 >= date.0.saturating_sub(FRESH))
}

/// The newest model of the kind by its day, whatever the day up to `date`: for new records.
pub(super) fn latest(lake: &Lake, kind: &Kind, source: Source, date: Day) -> Result<Option<SavedModel>, ScoreError> {
    newest(lake, kind, source, &|of| of.0 <= date.0)
}

fn newest(
    lake: &Lake,
    kind: &Kind,
    source: Source,
    wanted: &dyn Fn(Day) -> bool,
) -> Result<Option<SavedModel>, ScoreError> {
    // The last model made of each day, the newest day first.
    let mut by_day: BTreeMap<i32, PathBuf> = BTreeMap::new();
    for model in lake.state().models(source)? {
        let Some(file) = model.file else { continue };
        let path = lake.dir().join(&file);
        match peek(&path) {
            Ok(header) if header.kind == *kind => {
                if let Some(date) = header.date.parse::<Day>().ok().filter(|date| wanted(*date)) {
                    by_day.entry(date.0).or_insert(path);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "a kept model cannot be read"),
        }
    }
    for path in by_day.into_values().rev() {
        match read(&path) {
            Ok(model) => return Ok(Some(model)),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a kept model cannot be read"),
        }
    }
    Ok(None)
}

pub(super) fn header(from: &mut dyn Read) -> io::Result<Header> {
    let mut eight = [0; 8];
    from.read_exact(&mut eight)?;
    if &eight != MAGIC {
        return Err(damaged("not a model of this version"));
    }
    from.read_exact(&mut eight)?;
    let length = u64::from_le_bytes(eight);
    if length > 1 << 20 {
        return Err(damaged("its header is too long"));
    }
    let mut json = vec![0; length as usize];
    from.read_exact(&mut json)?;
    let header: Header = serde_json::from_slice(&json)?;
    let counts = [header.words, header.documents].into_iter().chain(header.popularity.iter().copied());
    if counts.max().is_some_and(|most| most > ENTRIES) || header.popularity.len() > 8 {
        return Err(damaged("it is larger than allowed"));
    }
    Ok(header)
}

fn peek(path: &Path) -> io::Result<Header> {
    header(&mut BufReader::new(File::open(path)?))
}

/// A text of a file that [`keep`] wrote. Leaves the reader behind it.
pub(super) fn text(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut four = [0; 4];
    from.read_exact(&mut four)?;
    let length = u32::from_le_bytes(four) as usize;
    if length > TEXT {
        return Err(damaged("a text is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that [`keep`] wrote.
fn read(path: &Path) -> io::Result<SavedModel> {
    let mut from = BufReader::new(File::open(path)?);
    let Header { model: id, date, words, documents, calibrations, popularity, .. } = header(&mut from)?;
    let mut texts = |count: usize| -> io::Result<HashMap<String, u32>> {
        let mut all = HashMap::new();
        for place in 0..count {
            all.insert(String::from_utf8_lossy(&text(&mut from)?).into_owned(), place as u32);
        }
        Ok(all)
    };
    let (word_places, document_places) = (texts(words)?, texts(documents)?);
    let popularity = popularity.iter().map(|count| Popularity::read(&mut from, *count)).collect::<io::Result<_>>()?;
    let model = Model::read(&mut from, 2 * ENTRIES)?;
    if model.vocabulary() != words || model.documents() != documents {
        return Err(damaged("its parts do not fit together"));
    }
    let date = date.parse().map_err(|_| damaged("its date"))?;
    Ok(SavedModel { id, date, words: word_places, documents: document_places, model, calibrations, popularity })
}

impl SavedModel {
    /// N_wk of each word of a corpus, zeros for a new one: where a fit of the same kind begins.
    pub(super) fn word_counts(&self, day: &DayCorpus, scheme: &dyn Scheme) -> Vec<f64> {
        let topics = self.model.topics();
        let mut counts = vec![0.0; day.codes().len() * topics];
        for (row, code) in counts.chunks_exact_mut(topics.max(1)).zip(day.codes()) {
            let place = self.words.get(render(scheme, *code).as_str());
            if let Some(known) = place.and_then(|place| self.model.word_counts(*place as usize)) {
                row.copy_from_slice(known);
            }
        }
        counts
    }

    /// How unlike this model's day another day is.
    pub(super) fn drift(&self, day: &DayCorpus, scheme: &dyn Scheme) -> DriftCard {
        let (tokens, _) = day.corpus.word_totals();
        let all = tokens.iter().sum::<u64>().max(1) as f64;
        let of = |place: u32| self.model.word_counts(place as usize).unwrap_or_default().iter().sum::<f64>();
        let before_all: f64 = (0..self.words.len() as u32).map(of).sum::<f64>().max(f64::MIN_POSITIVE);
        let (mut divergence, mut shared, mut new) = (0.0, 0.0, 0.0);
        let part = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
        for (code, count) in day.codes().iter().zip(&tokens) {
            let now = *count as f64 / all;
            match self.words.get(render(scheme, *code).as_str()) {
                Some(place) => {
                    let before = of(*place) / before_all;
                    let middle = (now + before) / 2.0;
                    divergence += (part(now, middle) + part(before, middle)) / 2.0;
                    shared += before;
                }
                None => {
                    divergence += now / 2.0;
                    new += now;
                }
            }
        }
        // Words that are gone have half a bit of their share.
        divergence += (1.0 - shared).max(0.0) / 2.0;
        let documents = day.corpus.documents();
        let known = (0..documents).filter(|at| self.documents.contains_key(day.document_name(*at as u32))).count();
        DriftCard {
            since: self.id.clone(),
            date: self.date.to_string(),
            divergence_bits: divergence.clamp(0.0, 1.0),
            new_word_share: new,
            new_document_share: 1.0 - known as f64 / documents.max(1) as f64,
        }
    }
}

/// How unlike the day of an earlier model a day is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DriftCard {
    /// The earlier model.
    pub since: String,
    /// Its day.
    pub date: String,
    /// Jensen–Shannon divergence of the words' shares: 0 the same, 1 bit nothing in common.
    pub divergence_bits: f64,
    /// Share of the tokens whose word is new.
    pub new_word_share: f64,
    /// Share of the documents that are new.
    pub new_document_share: f64,
}
