//! The fit of a run: by the optimiser asked for, from chance or from an earlier day's model.

use super::ScoreError;
use super::card::FitCard;
use super::judge::LEFT_OUT_PRIORS;
use super::request::{Optimizer, Progress, ScoreRequest, Stage};
use super::saved::SavedModel;
use super::train::DayCorpus;
use crate::lda::{LdaError, Model, em, incremental, online};
use crate::words::Scheme;

/// A fitted model, and how.
pub(super) struct Fitted {
    pub(super) model: Model,
    pub(super) card: FitCard,
}

/// Fits a day on the current rayon pool; `former` is the model it may go on from.
pub(super) fn fit(
    request: &ScoreRequest,
    day: &DayCorpus,
    former: Option<&SavedModel>,
    scheme: &dyn Scheme,
    progress: &mut dyn Progress,
) -> Result<Fitted, ScoreError> {
    let mut tell = |done: usize, total: usize| {
        progress.step(Stage::Fit, done as u64, total as u64);
        !progress.stopped()
    };
    let stopped = |error: LdaError| if error == LdaError::Stopped { ScoreError::Stopped } else { error.into() };
    let corpus = &day.corpus;
    let (mut warm_start, mut held_out, mut restarts) = (None, None, 1);
    let (alpha, beta);
    let model = match request.optimizer {
        Optimizer::Em => {
            let parameters = request.em();
            (alpha, beta) = (parameters.alpha, parameters.beta);
            em::fit(corpus, &parameters, &mut tell).map_err(stopped)?
        }
        Optimizer::Online => {
            let parameters = request.online();
            (alpha, beta) = (parameters.alpha, parameters.beta);
            online::fit(corpus, &parameters, &mut tell).map_err(stopped)?
        }
        Optimizer::Incremental => {
            let parameters = request.incremental();
            (alpha, beta) = (parameters.alpha, parameters.beta);
            let from = former.filter(|_| request.warm_start);
            let words = from.map(|from| from.word_counts(day, scheme));
            warm_start = from.map(|from| from.id.clone());
            restarts = if from.is_some() { 0 } else { parameters.starts };
            let fitted = incremental::fit_from(corpus, &parameters, words.as_deref(), &mut tell);
            let (model, perplexity) = fitted.map_err(stopped)?;
            held_out = perplexity;
            model
        }
    };
    let card = FitCard {
        optimizer: request.optimizer.as_str(),
        topics: model.topics(),
        alpha,
        beta,
        iterations: model.iterations(),
        seed: request.seed,
        restarts,
        warm_start,
        held_out_perplexity: held_out,
        log_likelihood: model.log_likelihood(),
        train_perplexity: (-model.log_likelihood() / corpus.tokens().max(1) as f64).exp(),
        left_out_priors: LEFT_OUT_PRIORS,
    };
    Ok(Fitted { model, card })
}

/// Equal for equal training data, parameters and beginning.
pub(super) fn model_id(request: &ScoreRequest, fit: &FitCard, day: &DayCorpus, scheme: &dyn Scheme) -> String {
    let FitCard { optimizer, topics, alpha, beta, iterations, seed, restarts, warm_start, .. } = fit;
    let mut hasher = blake3::Hasher::new();
    hasher.update(day.digest(scheme).as_bytes());
    let from = warm_start.as_deref().unwrap_or("");
    hasher.update(format!("{optimizer} {topics} {alpha} {beta} {iterations} {seed} {restarts} {from}").as_bytes());
    let hash = hasher.finalize().to_hex();
    let hash: String = hash.chars().take(16).collect();
    format!("{}-{}-{}-{hash}", request.source.as_str(), request.words.as_str(), request.date)
}
