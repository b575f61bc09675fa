//! What an analyst says changes what the next run, and the list at once, show.

use super::*;

fn verdict(lake: &Lake, subject: Subject, severity: Severity, scope: &str, supersedes: Option<i64>) -> i64 {
    let verdict = NewVerdict {
        source: Source::Flow,
        subject,
        reach: None,
        severity,
        scope: scope.into(),
        author: "analyst".into(),
        time: Micros(MIDNIGHT),
        note: None,
        expires: None,
        supersedes,
    };
    lake.state().append_verdict(&verdict).unwrap()
}

#[test]
fn a_dismissed_pattern_loses_its_rank_on_every_day_and_nothing_else_moves() {
    let place = lake(2);
    let before = rows(&scored(&place.lake, &all_rows(0)).1);
    let scan = of(&before, "10.0.0.66", "")[0].clone();
    let id = verdict(&place.lake, Subject::Record(RecordId(scan.id)), Severity::Low, "group", None);
    for days in [0, 1] {
        let after = rows(&scored(&place.lake, &all_rows(days)).1);
        let last = after.iter().map(|row| row.rank).max().unwrap();
        for row in of(&after, "10.0.0.66", "") {
            assert_eq!((row.rank, row.rules.as_slice()), (last, &[format!("verdict {id}")][..]));
            assert!(row.before.unwrap() < -6.0);
        }
        // All others keep their order and their evidence.
        let others = |rows: &[Row]| -> Vec<Row> {
            let others = rows.iter().filter(|row| row.src != "10.0.0.66");
            others.map(|row| Row { rank: 0, ..row.clone() }).collect()
        };
        if days == 0 {
            assert_eq!(others(&after), others(&before));
        }
        assert!(of(&after, "10.0.0.77", "203.0.113.9").iter().all(|row| row.rank == 1 && row.rules.is_empty()));
    }
    // Undone: a verdict of no weight takes its place.
    verdict(&place.lake, Subject::Record(RecordId(scan.id)), Severity::Medium, "group", Some(id));
    assert_eq!(rows(&scored(&place.lake, &all_rows(0)).1), before);
}

#[test]
fn a_confirmed_record_raises_what_goes_to_the_same_place() {
    let place = lake(1);
    let server = "198.51.100.2";
    let before = rows(&scored(&place.lake, &all_rows(0)).1);
    let ordinary = before.iter().find(|row| row.dst == server).unwrap().clone();
    let last = before.iter().rfind(|row| row.dst == server).unwrap().clone();
    assert!(last.src != ordinary.src);
    let id = verdict(&place.lake, Subject::Record(RecordId(ordinary.id)), Severity::High, "group", None);
    let after = rows(&scored(&place.lake, &all_rows(0)).1);
    let position = |rows: &[Row]| rows.iter().position(|row| row.id == last.id).unwrap();
    assert!(position(&after) < position(&before), "{} {}", position(&after), position(&before));
    for row in after.iter().filter(|row| row.dst == server) {
        assert!(row.rules.contains(&format!("verdict {id}")) && row.before.is_some());
    }
    // Who goes elsewhere and is not of the record's own group keeps its place among the others, unmarked.
    let others = |rows: &[Row]| -> Vec<[u8; 16]> {
        let of = rows.iter().filter(|row| row.dst != server && row.src != ordinary.src);
        of.inspect(|row| assert!(row.rules.is_empty())).map(|row| row.id).collect()
    };
    assert_eq!(others(&after), others(&before));
}

#[test]
fn rules_suppress_at_once_and_are_counted_until_they_are_retired() {
    let place = lake(1);
    let matcher = Matcher { host: Some("10.0.0.66/32".into()), ..Matcher::default() };
    let rule = NewRule {
        name: None,
        action: Action::Suppress,
        source: Source::Flow,
        matcher: serde_json::to_string(&matcher).unwrap(),
        author: "analyst".into(),
        expires: None,
        note: Some("our scanner".into()),
    };
    let id = place.lake.state().add_rule(&rule).unwrap();
    let broken = NewRule { matcher: "{}".into(), ..rule.clone() };
    place.lake.state().add_rule(&broken).unwrap();
    let (run, batch) = scored(&place.lake, &all_rows(0));
    assert!(of(&rows(&batch), "10.0.0.66", "").is_empty());
    assert_eq!(run.card.rows.rules.get(&format!("rule {}", id.0)), Some(&40));
    let kept = place.lake.state().rules(Source::Flow, Micros(MIDNIGHT)).unwrap();
    assert_eq!(kept.iter().find(|kept| kept.id == id).unwrap().hits, 40);
    place.lake.state().retire_rule(id, "analyst").unwrap();
    assert_eq!(of(&rows(&scored(&place.lake, &all_rows(0)).1), "10.0.0.66", "").len(), 40);
}

#[test]
fn a_verdict_reaches_what_its_scope_says_at_once_and_in_the_next_run() {
    let place = lake(2);
    let (run, batch) = scored(&place.lake, &all_rows(0));
    let before = rows(&batch);
    let scan = of(&before, "10.0.0.66", "")[0].clone();
    let give = |scope, severity| {
        let draft = Draft::on(Source::Flow, RecordId(scan.id), scope, severity);
        let verdict = draft.resolve(&place.lake, "ana", Micros(MIDNIGHT)).unwrap();
        place.lake.state().append_verdict(&verdict).unwrap()
    };
    let marks = |show| {
        let marks = overlay(&place.lake, Source::Flow, &run.run_id, Micros(MIDNIGHT)).unwrap();
        marks.iter().filter(|(_, mark)| mark.is_in(show)).count()
    };
    assert_eq!(marks(Show::Rated), 0);
    let first = give(Scope::Endpoints, Severity::Low);
    // One port of the scan: its record alone, without a new run.
    assert_eq!(marks(Show::Rated), 1);
    let second = give(Scope::Host, Severity::Low);
    assert_eq!(marks(Show::Rated), 40);
    let log = place.lake.state().verdicts(Source::Flow, Micros(MIDNIGHT)).unwrap();
    assert_eq!(log.iter().map(|v| (v.id, v.verdict.supersedes)).collect::<Vec<_>>(), [(second, Some(first))]);
    // The next run of another day knows the host; its other rows keep their order.
    let after = rows(&scored(&place.lake, &all_rows(1)).1);
    let last = after.iter().map(|row| row.rank).max().unwrap();
    assert!(of(&after, "10.0.0.66", "").iter().all(|row| row.rank == last));
    assert!(of(&after, "10.0.0.77", "203.0.113.9").iter().all(|row| row.rank == 1));
    place.lake.state().take_back(second, "ana", Micros(MIDNIGHT), None).unwrap();
    assert_eq!(marks(Show::Rated), 1, "the first verdict is in force again");
    let missing = Draft::on(Source::Flow, RecordId([0xee; 16]), Scope::Host, Severity::Low);
    assert!(
        missing.resolve(&place.lake, "ana", Micros(MIDNIGHT)).unwrap_err().to_string().contains("no flow record ee")
    );
}

/// Spot's loop, closed: what was dismissed is trained on as if it had been seen DUPFACTOR times more, on this day and the next.
#[test]
fn under_spots_score_a_dismissed_record_becomes_likely_and_its_host_s_other_rows_stay_in_bounds() {
    let place = lake(2);
    let spot = |days, dupfactor| ScoreRequest { ranking: Ranking::Spot, dupfactor, ..all_rows(days) };
    let score_of =
        |batch: &RecordBatch| batch.column_by_name("score").unwrap().as_primitive::<Float64Type>().values().to_vec();
    let (_, batch) = scored(&place.lake, &spot(0, 1000));
    let (before, scores) = (rows(&batch), score_of(&batch));
    let at = before.iter().position(|row| row.src == "10.0.0.66").unwrap();
    let draft = Draft::on(Source::Flow, RecordId(before[at].id), Scope::Group, Severity::Low);
    let verdict = draft.resolve(&place.lake, "ana", Micros(MIDNIGHT)).unwrap();
    place.lake.state().append_verdict(&verdict).unwrap();
    for (days, dupfactor) in [(0, 1000), (1, 1000), (0, 0)] {
        let (run, batch) = scored(&place.lake, &spot(days, dupfactor));
        // Two tokens of a flow, a thousand times each.
        assert_eq!(run.card.corpus.extra_tokens, 2 * u64::from(dupfactor));
        let (after, new) = (rows(&batch), score_of(&batch));
        let of_host = |rows: &[Row], scores: &[f64]| -> Vec<f64> {
            rows.iter().zip(scores).filter(|(row, _)| row.src == "10.0.0.66").map(|(_, score)| *score).collect()
        };
        let (old, new) = (of_host(&before, &scores), of_host(&after, &new));
        if dupfactor == 0 {
            assert_eq!(old, new);
            continue;
        }
        // The host has 40 tokens a day: the dismissed one is 1 + DUPFACTOR of 40 + DUPFACTOR now, and what the others lose is their share of that.
        let (copies, tokens) = (f64::from(dupfactor), old.len() as f64);
        let near = |found: f64, wanted: f64| assert!((found / wanted - 1.0).abs() < 0.05, "{days}: {found} {wanted}");
        near(old[0], 1.0 / tokens);
        near(new[new.len() - 1], (1.0 + copies) / (tokens + copies));
        assert_eq!(old.len(), new.len());
        old[1..].iter().zip(&new).for_each(|(old, new)| near(*new, old * tokens / (tokens + copies)));
    }
}
