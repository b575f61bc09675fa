//! Bytes and packets in and out over time, for any host or network: the per-day bars, and finer.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::{Span, Subject, Target, cache};
use crate::api::params::Params;
use crate::api::rows::read;
use crate::api::types::{Problem, Volume, VolumeQuery};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Widths of a bucket, seconds.
pub(in crate::api) const STEPS: [u32; 6] = [60, 300, 900, 3600, 21_600, 86_400];
/// Buckets an answer may have.
const MAX_BUCKETS: i64 = 20_000;
/// Buckets that a width is chosen for.
const GOOD_BUCKETS: i64 = 1_500;

/// Equal buckets over a span, aligned to their width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::api) struct Buckets {
    /// Unix seconds of the first.
    pub(in crate::api) start: i64,
    /// Seconds of each.
    pub(in crate::api) step: u32,
    pub(in crate::api) count: usize,
}

impl Buckets {
    /// Of the width asked for, or the finest that gives not too many.
    pub(in crate::api) fn over(span: Span, step: Option<u32>) -> Result<Self, ApiError> {
        let (from, to) = (span.from.0.div_euclid(1_000_000), (span.to.0 - 1).div_euclid(1_000_000) + 1);
        let of = |step: u32| {
            let wide = i64::from(step);
            let start = from.div_euclid(wide) * wide;
            (start, (to - start + wide - 1) / wide)
        };
        let step = match step {
            Some(step) if STEPS.contains(&step) => step,
            Some(other) => return Err(ApiError::Bad(format!("`step` must be one of {STEPS:?}, not {other}"))),
            None => {
                let widest = STEPS[STEPS.len() - 1];
                STEPS.into_iter().find(|step| of(*step).1 <= GOOD_BUCKETS).unwrap_or(widest)
            }
        };
        let (start, count) = of(step);
        if count > MAX_BUCKETS {
            return Err(ApiError::Bad(format!(
                "{count} buckets of {step} s; at most {MAX_BUCKETS}: ask for a wider `step`"
            )));
        }
        Ok(Self { start, step, count: usize::try_from(count).unwrap_or(0) })
    }

    /// SQL of a record's bucket, from 0. Both numbers are ours.
    pub(in crate::api) fn sql(self, column: &str) -> String {
        format!("(unix_seconds({column}) - {}) / {}", self.start, self.step)
    }
}

/// Bytes and packets of a host, a network, or everything, per bucket.
#[utoipa::path(get, path = "/api/v1/volume", params(VolumeQuery), responses(
    (status = 200, body = Volume), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(in crate::api) async fn volume(
    State(app): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<VolumeQuery>,
) -> Result<Response, ApiError> {
    let subject = query.subject.as_deref().map(Subject::parse).transpose()?;
    let span = Span::parse(&query.from, &query.to)?;
    let buckets = Buckets::over(span, query.step)?;
    let key = format!("volume {:?} {}", subject.as_ref().map(Subject::text), buckets.step);
    cache::answer(&app, &headers, &key, span, measure(&app, subject, span, buckets), None).await
}

#[derive(Deserialize)]
struct Row {
    bucket: usize,
    bytes_in: u64,
    bytes_out: u64,
    packets_in: u64,
    packets_out: u64,
    connections: u64,
}

async fn measure(app: &App, subject: Option<Subject>, span: Span, buckets: Buckets) -> Result<Volume, ApiError> {
    let text = subject.as_ref().map(Subject::text);
    let bucket = buckets.sql("first_seen");
    let sums = "sum(i) AS bytes_in, sum(o) AS bytes_out, sum(pi) AS packets_in, sum(po) AS packets_out, count(*) AS connections";
    let (sql, params) = match subject {
        None => (
            format!(
                "SELECT {bucket} AS bucket, {sums} FROM (SELECT first_seen, coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)) AS i, src_bytes AS o, \
                 coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)) AS pi, src_packets AS po FROM flow WHERE first_seen >= $1 AND first_seen < $2) GROUP BY 1"
            ),
            vec![span.from.into(), span.to.into()],
        ),
        Some(subject) => {
            let target = Target::find(app, subject, span).await?;
            let (Some(src), Some(dst)) = (target.is_subject("src_ip"), target.is_subject("dst_ip")) else {
                return Err(ApiError::Bad(
                    "`subject` must be an address, a network, or a name with addresses".to_owned(),
                ));
            };
            // A record inside the network is both sent and received by it.
            (
                format!(
                    "SELECT {bucket} AS bucket, {sums} FROM (\
                     SELECT first_seen, CASE WHEN {src} THEN coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)) ELSE CAST(0 AS BIGINT UNSIGNED) END + CASE WHEN {dst} THEN src_bytes ELSE CAST(0 AS BIGINT UNSIGNED) END AS i, \
                     CASE WHEN {src} THEN src_bytes ELSE CAST(0 AS BIGINT UNSIGNED) END + CASE WHEN {dst} THEN coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)) ELSE CAST(0 AS BIGINT UNSIGNED) END AS o, \
                     CASE WHEN {src} THEN coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)) ELSE CAST(0 AS BIGINT UNSIGNED) END + CASE WHEN {dst} THEN src_packets ELSE CAST(0 AS BIGINT UNSIGNED) END AS pi, \
                     CASE WHEN {src} THEN src_packets ELSE CAST(0 AS BIGINT UNSIGNED) END + CASE WHEN {dst} THEN coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)) ELSE CAST(0 AS BIGINT UNSIGNED) END AS po \
                     FROM flow WHERE first_seen >= $1 AND first_seen < $2 AND ({src} OR {dst})) GROUP BY 1"
                ),
                target.params_for(),
            )
        }
    };
    let rows = app.rows(&sql, params, buckets.count as u64).await?;
    let blank = || vec![0_u64; buckets.count];
    let mut volume = Volume {
        subject: text,
        start: buckets.start,
        step: buckets.step,
        bytes_in: blank(),
        bytes_out: blank(),
        packets_in: blank(),
        packets_out: blank(),
        connections: blank(),
    };
    for row in read::<Row>(rows, "flow")? {
        let put = |series: &mut Vec<u64>, value: u64| {
            if let Some(place) = series.get_mut(row.bucket) {
                *place = value;
            }
        };
        put(&mut volume.bytes_in, row.bytes_in);
        put(&mut volume.bytes_out, row.bytes_out);
        put(&mut volume.packets_in, row.packets_in);
        put(&mut volume.packets_out, row.packets_out);
        put(&mut volume.connections, row.connections);
    }
    Ok(volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_aligned_and_not_too_many() {
        let of = |from, to, step| Buckets::over(Span::parse(from, to).unwrap(), step);
        let day = of("2016-07-08T00:00:30Z", "2016-07-09T00:00:30Z", None).unwrap();
        assert_eq!((day.step, day.count, day.start % 60), (60, 1441, 0));
        let week = of("2016-07-01T00:00:00Z", "2016-07-08T00:00:00Z", None).unwrap();
        assert_eq!((week.step, week.count), (900, 672));
        let days = of("2016-07-01T00:00:00Z", "2016-07-08T00:00:00Z", Some(86_400)).unwrap();
        assert_eq!(days.count, 7);
        assert!(of("2016-07-01T00:00:00Z", "2016-07-08T00:00:00Z", Some(7)).is_err());
        assert!(of("2006-07-01T00:00:00Z", "2016-07-08T00:00:00Z", Some(60)).is_err());
        assert_eq!(of("2016-07-01T00:00:00Z", "2016-07-01T00:00:00.000001Z", None).unwrap().count, 1);
    }
}
