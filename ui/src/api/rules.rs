//! Rules that allow or suppress: made, listed with their hits, taken out of force.

use aggregator::record::Micros;
use aggregator::state;
use aggregator::state::rules::{self, Action, NewRule, RuleId};
use analytics::feedback::preview::Target;
use analytics::feedback::{self, heuristics};
use axum::Json;
use axum::extract::{Path, State};

use super::params::{Given, Params, parse_number};
use super::rows::{moment, parse_day, parse_moment};
use super::types::{
    Force, Heuristic, Preview, Problem, Rule, RuleAction, RuleDraft, RuleList, RuleQuery, Source, Switch,
};
use super::verdicts::preview;
use crate::app::Shared;
use crate::author::Author;
use crate::problem::ApiError;

/// Characters of a rule's name.
const MAX_NAME: usize = 100;

fn shown(rule: &rules::Rule, now: Micros) -> Rule {
    let matcher = feedback::Matcher::read(&rule.rule.matcher).unwrap_or_default();
    Rule {
        id: rule.id.0,
        name: rule.rule.name.clone(),
        action: match rule.rule.action {
            Action::Allow => RuleAction::Allow,
            Action::Suppress => RuleAction::Suppress,
        },
        source: rule.rule.source.into(),
        matcher: matcher.into(),
        author: rule.rule.author.clone(),
        created: moment(rule.created),
        expires: rule.rule.expires.map(moment),
        note: rule.rule.note.clone(),
        hits: rule.hits,
        last_hit: rule.last_hit.map(moment),
        state: match (&rule.retired, rule.rule.expires) {
            (Some(_), _) => Force::TakenBack,
            (None, Some(end)) if end <= now => Force::Expired,
            _ => Force::InForce,
        },
        retired_by: rule.retired.as_ref().map(|(_, by)| by.clone()),
        retired_at: rule.retired.as_ref().map(|(at, _)| moment(*at)),
    }
}

/// Rules, oldest first.
#[utoipa::path(get, path = "/api/v1/rules", params(RuleQuery), responses(
    (status = 200, body = RuleList), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn rules(
    State(app): State<Shared>,
    Params(query): Params<RuleQuery>,
) -> Result<Json<RuleList>, ApiError> {
    let ended = query.ended == Some(Switch::On);
    let source = query.source.map(Source::lake);
    let found = app.in_turn(app.blocking(move |lake| Ok(lake.state().all_rules(source)?))).await?;
    let now = state::now();
    let rules = found.iter().map(|rule| shown(rule, now)).filter(|rule| ended || rule.state == Force::InForce);
    let heuristics = heuristics::all().into_iter().filter(|rule| source.is_none_or(|source| source == rule.source));
    Ok(Json(RuleList {
        rules: rules.collect(),
        heuristics: heuristics
            .map(|rule| Heuristic {
                name: rule.name.to_owned(),
                about: rule.about.to_owned(),
                source: rule.source.into(),
                matcher: rule.matcher.into(),
            })
            .collect(),
    }))
}

/// Makes a rule. It acts at once on the lists, and on the ranks in the next run.
#[utoipa::path(post, path = "/api/v1/rules", request_body = RuleDraft, responses(
    (status = 200, body = Rule), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn make_rule(
    State(app): State<Shared>,
    Author(author): Author,
    Given(body): Given<RuleDraft>,
) -> Result<Json<Rule>, ApiError> {
    let RuleDraft { name, action, source, matcher, expires, note, .. } = body;
    let matcher = matcher.read()?;
    matcher.check(source.lake()).map_err(feedback::FeedbackError::from)?;
    let long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.chars().count() > most);
    if long(&name, MAX_NAME) || long(&note, 4000) {
        return Err(ApiError::Bad(format!("`name` may have {MAX_NAME} characters, `note` 4000")));
    }
    let expires = expires.as_deref().map(|text| parse_moment("expires", text)).transpose()?;
    if expires.is_some_and(|end| end <= state::now()) {
        return Err(ApiError::Bad("`expires` is in the past".to_owned()));
    }
    let rule = NewRule {
        name,
        action: match action {
            RuleAction::Allow => Action::Allow,
            RuleAction::Suppress => Action::Suppress,
        },
        source: source.lake(),
        matcher: matcher.to_json(),
        author,
        expires,
        note,
    };
    let made = app.blocking(move |lake| {
        let id = lake.state().add_rule(&rule)?;
        find(lake, id)
    });
    app.in_turn(made).await.map(Json)
}

fn find(lake: &aggregator::lake::Lake, id: RuleId) -> Result<Rule, ApiError> {
    let found = lake.state().all_rules(None)?.into_iter().find(|rule| rule.id == id);
    found.map(|rule| shown(&rule, state::now())).ok_or_else(|| ApiError::Missing(format!("rule {}", id.0)))
}

/// What a rule would reach; nothing is saved.
#[utoipa::path(post, path = "/api/v1/rules/preview", request_body = RuleDraft, responses(
    (status = 200, body = Preview), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn preview_rule(
    State(app): State<Shared>,
    Given(body): Given<RuleDraft>,
) -> Result<Json<Preview>, ApiError> {
    let source = body.source.lake();
    let matcher = body.matcher.read()?;
    matcher.check(source).map_err(feedback::FeedbackError::from)?;
    let date = body.date.as_deref().map(parse_day).transpose()?;
    app.in_turn(preview(&app, Target::of_rule(source, matcher), date)).await.map(Json)
}

/// Takes a rule out of force; the log keeps it.
#[utoipa::path(delete, path = "/api/v1/rules/{id}", params(("id" = i64, Path, description = "Number of the rule")), responses(
    (status = 200, body = Rule), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn retire_rule(
    State(app): State<Shared>,
    Author(author): Author,
    Path(id): Path<String>,
) -> Result<Json<Rule>, ApiError> {
    let id = RuleId(parse_number("rule", &id)?);
    let work = app.blocking(move |lake| {
        if !lake.state().retire_rule(id, &author)? {
            return Err(ApiError::Missing(format!("rule {} in force", id.0)));
        }
        find(lake, id)
    });
    app.in_turn(work).await.map(Json)
}
