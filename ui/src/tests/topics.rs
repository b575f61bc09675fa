//! The topics behind a score, over a day that was scored.

use aggregator::lake::{SetKind, Source, Table};
use analytics::score::{ScoreRequest, score};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Server;
use super::lake::{DAY, empty, flow_record, id, known, write};
use crate::api::Models;

/// The one record that is not like the others.
const ODD: u32 = 99;

/// Six clients of two servers, and one transfer at night.
fn scored() -> Server {
    let (dir, lake) = empty();
    let mut rows: Vec<Value> = Vec::new();
    for n in 0..60 {
        let time = format!("{DAY}T{:02}:{:02}:00Z", 9 + n % 4, n);
        let (client, server) = (format!("10.0.0.{}", 1 + n % 6), format!("198.51.100.{}", 1 + n % 2));
        rows.push(flow_record(n, &time, &client, &server, 443, 500 + u64::from(n)));
    }
    rows.push(flow_record(ODD, &format!("{DAY}T03:00:00Z"), "10.0.0.1", "203.0.113.9", 4444, 9_000_000));
    write(&lake, SetKind::Generated, Table::Flow, &rows);
    let request = ScoreRequest::new(Source::Flow, DAY.parse().unwrap());
    score(&lake, &ScoreRequest { topics: 4, ..request }, &mut ()).unwrap();
    Server::over(dir, lake)
}

async fn problem(server: &Server, path: &str, status: StatusCode) -> String {
    let answer = server.get(path).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_both_hosts_are_told_with_their_words_taken_apart() {
    let server = scored();
    let path = format!("/api/v1/topics/flow/{}?date={DAY}", id(ODD));
    let row = server.get(&format!("/api/v1/suspicious/flow/{}?date={DAY}", id(ODD))).await.json();
    let (deciding, other) = (&row["why"]["deciding_score"], &row["why"]["other_score"]);
    let both = [deciding.as_f64().unwrap(), other.as_f64().unwrap()];
    assert_eq!(both[0].min(both[1]), row["standing"]["score"].as_f64().unwrap());

    let told = server.get(&path).await.json();
    assert_eq!((&told["date"], &told["topics"]), (&json!(DAY), &json!(4)));
    let model = told["model"].as_str().unwrap().to_owned();
    let hosts = told["hosts"].as_array().unwrap();
    let named: Vec<_> = hosts.iter().map(|host| (host["side"].as_str(), host["host"].as_str().unwrap())).collect();
    assert_eq!(named, [(Some("src"), "10.0.0.1"), (Some("dst"), "203.0.113.9")]);
    for host in hosts {
        let topics = host["topics"].as_array().unwrap();
        let shares: Vec<f64> = topics.iter().map(|topic| topic["host_share"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<f64>() >= 0.9, "{host}");
        for topic in topics {
            assert!((1..=4).contains(&topic["topic"].as_u64().unwrap()));
            assert!(topic["all_share"].as_f64().unwrap() > 0.0 && topic["word_share"].is_number());
            let words = topic["words"].as_array().unwrap();
            assert!((1..=3).contains(&words.len()));
            for word in words {
                let features = word["features"].as_array().unwrap();
                assert!(features.iter().any(|feature| feature["name"] == "port"), "{word}");
            }
        }
    }
    // P(word | host) adds up from what is told, for a host whose topics are told whole.
    let whole = |host: &Value| -> (f64, f64) {
        let topics = host["topics"].as_array().unwrap();
        let sum = |of: &dyn Fn(&Value) -> f64| topics.iter().map(of).sum::<f64>();
        let share = |topic: &Value| topic["host_share"].as_f64().unwrap();
        (sum(&share), sum(&|topic| share(topic) * topic["word_share"].as_f64().unwrap()))
    };
    let of_side = |side: &str| if row["why"]["side"] == side { both[0] } else { both[1] };
    for (host, side) in hosts.iter().zip(["src", "dst"]) {
        let (share, p) = whole(host);
        assert!(p <= of_side(side) * 1.0001 && p >= of_side(side) - (1.0 - share) - 1e-9, "{side}: {share} {p}");
    }

    assert!(
        problem(&server, &format!("/api/v1/topics/flow/{}?date={DAY}", id(7777)), StatusCode::NOT_FOUND)
            .await
            .contains("score of")
    );
    problem(&server, &format!("/api/v1/topics/nothing/{}?date={DAY}", id(ODD)), StatusCode::NOT_FOUND).await;
    problem(&server, "/api/v1/topics/flow/xyz?date=2016-07-08", StatusCode::BAD_REQUEST).await;

    let file = server.lake().dir().join("models").join(format!("{model}.model"));
    let bytes = std::fs::read(&file).unwrap();
    let held = Models::default();
    for n in 0..20 {
        let copy = server.lake().dir().join(format!("copy{n}"));
        std::fs::write(&copy, &bytes).unwrap();
        held.of(&copy).unwrap();
        held.of(&copy).unwrap();
    }
    assert_eq!(held.len(), 6);
    // What retention or a hand takes away is said, and what it damages is not believed.
    std::fs::remove_file(&file).unwrap();
    assert!(problem(&server, &path, StatusCode::NOT_FOUND).await.contains("the newest 14"));
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    problem(&server, &path, StatusCode::INTERNAL_SERVER_ERROR).await;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(server.get(&path).await.status, StatusCode::OK);
    let mut kept = server.lake().state().model(&model).unwrap().unwrap();
    kept.file = None;
    server.lake().state().put_model(&kept).unwrap();
    assert!(problem(&server, &path, StatusCode::NOT_FOUND).await.contains("Score the day again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_without_a_model_say_so() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    for (source, n) in [("flow", 1), ("dns", 101), ("proxy", 201)] {
        let path = format!("/api/v1/topics/{source}/{}?date={DAY}", id(n));
        assert!(problem(&server, &path, StatusCode::NOT_FOUND).await.contains("were not made here"), "{source}");
    }
}
