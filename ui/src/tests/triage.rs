//! Queries, surroundings and saved views over a lake whose every row is known.

use analytics::sql::{Engine, EngineLimits, RowLimits};
use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::lake::{DAY, HOSTILE, known};
use super::{Answer, Server, request};

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn ok(server: &Server, path: &str) -> Value {
    let answer: Answer = server.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

async fn change(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let request = request(method, path)
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
        .header(header::CONTENT_TYPE, "application/json");
    server.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn ids(list: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        list["rows"].as_array().unwrap().iter().map(|row| row["record_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// A test of a row, written in Rust and not in SQL.
type Test = fn(&Value) -> bool;

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn either(row: &Value, test: impl Fn(&str) -> bool) -> bool {
    test(text(row, "src_ip")) || test(text(row, "dst_ip"))
}

/// Each query and what it means.
const FLOW: [(&str, Test); 26] = [
    ("", |_| true),
    ("10.0.0.2", |row| either(row, |ip| ip == "10.0.0.2")),
    ("10.0.0.0/8", |row| either(row, |ip| ip.starts_with("10."))),
    ("2001:db8::/32", |row| either(row, |ip| ip.starts_with("2001:db8:"))),
    ("23", |row| row["dst_port"] == 23 || row["src_port"] == 23 || either(row, |ip| ip.contains("23"))),
    ("198.51", |row| either(row, |ip| ip.contains("198.51"))),
    ("src_ip == 10.0.0.1", |row| text(row, "src_ip") == "10.0.0.1"),
    ("src_ip != 10.0.0.1", |row| text(row, "src_ip") != "10.0.0.1"),
    ("ip == 2001:DB8:0::5", |row| either(row, |ip| ip == "2001:db8::5")),
    ("src_ip == 10.0.*", |row| text(row, "src_ip").starts_with("10.0.")),
    ("dst_ip ~ \"^198\\.51\\.100\\.[12]$\"", |row| ["198.51.100.1", "198.51.100.2"].contains(&text(row, "dst_ip"))),
    ("dst_ip !~ ^198", |row| !text(row, "dst_ip").starts_with("198")),
    ("dst_port in (22, 443)", |row| row["dst_port"] == 443),
    ("dst_port in 20..30", |row| row["dst_port"] == 23),
    ("not dst_port in 20..30", |row| row["dst_port"] != 23),
    ("proto == tcp", |row| row["proto"] == 6),
    ("proto != tcp", |row| row["proto"] != 6),
    ("src_bytes > 600 and dst_port == 23", |row| row["src_bytes"].as_u64().unwrap() > 600 && row["dst_port"] == 23),
    ("src_bytes >= 9000T", |row| row["src_bytes"].as_u64().unwrap() >= 9_000_000_000_000_000),
    ("dst_bytes exists", |row| !row["dst_bytes"].is_null()),
    ("dst_bytes != 5", |row| row["dst_bytes"] != 5),
    ("not dst_bytes > 0", |row| row["dst_bytes"].as_u64().unwrap_or(0) == 0),
    ("time >= 2016-07-08T12:00Z and time < 2016-07-09", |row| text(row, "first_seen") >= "2016-07-08T12"),
    ("hour == 3", |row| text(row, "first_seen").starts_with("2016-07-08T03")),
    ("rank <= 2 or dst_port == 443", |row| row["standing"]["rank"].as_u64().unwrap() <= 2 || row["dst_port"] == 443),
    ("src_packets < dst_port surprise > 1", |row| {
        row["src_packets"].as_u64().unwrap() < row["dst_port"].as_u64().unwrap()
            && row["standing"]["surprise_bits"].as_f64().is_none_or(|bits| bits > 1.0)
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn queries_mean_what_they_say_and_so_does_their_sql() {
    let (dir, lake) = known();
    let engine = Engine::open(lake.clone(), EngineLimits { threads: 1, ..EngineLimits::default() }).unwrap();
    let server = Server::over(dir, lake);
    let all = ok(&server, &format!("/api/v1/suspicious/flow?date={DAY}&groups=off")).await;
    let mut chosen = 0;
    for (query, test) in FLOW {
        let list =
            ok(&server, &format!("/api/v1/suspicious/flow?date={DAY}&groups=off&filter={}", encoded(query))).await;
        let mut expected: Vec<&str> = all["rows"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| test(row))
            .map(|row| row["record_id"].as_str().unwrap())
            .collect();
        expected.sort_unstable();
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["matching"], expected.len(), "{query}");
        chosen += usize::from(!expected.is_empty() && expected.len() < ids(&all).len());

        let answer = ok(&server, &format!("/api/v1/query/flow?date={DAY}&q={}", encoded(query))).await;
        assert_eq!(answer["fault"], Value::Null, "{query}");
        let sql = answer["sql"].as_str().unwrap();
        let rows = engine.query_rows(sql, Vec::new(), RowLimits { max_rows: Some(100), timeout: None }).await.unwrap();
        let mut found: Vec<String> =
            rows.rows.iter().map(|row| row["record_id"].as_str().unwrap().to_owned()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{sql}");
    }
    assert!(chosen >= 15, "{chosen} queries tell rows apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_of_the_wire_are_found_by_quoted_queries() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let quoted = format!("qname == \"{}\"", HOSTILE.replace('\u{202e}', "\\u{202e}").replace('"', "\\\""));
    for query in [quoted.as_str(), "qname == *evil.example", "*EVIL*", "qname ~ onerror", "\"<img src=x\""] {
        for groups in ["on", "off"] {
            let path = format!("/api/v1/suspicious/dns?date={DAY}&groups={groups}&filter={}", encoded(query));
            let list = ok(&server, &path).await;
            assert_eq!(list["rows"][0]["qname"], HOSTILE.to_lowercase(), "{query}: {list}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_queries_are_told_with_their_place_in_utf_16() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let answer = ok(&server, &format!("/api/v1/query/flow?q={}", encoded("\"𝄞é\" and scr_ip == 1.2.3.4"))).await;
    let fault = &answer["fault"];
    assert_eq!((&fault["start"], &fault["end"], &answer["sql"]), (&json!(10), &json!(16), &Value::Null));
    assert!(fault["message"].as_str().unwrap().contains("did you mean src_ip?"), "{fault}");
    let refused = server.get("/api/v1/suspicious/flow?filter=dst_port%20%3D%3D%20x").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("at character 13"), "{}", refused.text());
    let long = server.get(&format!("/api/v1/query/flow?q={}", "a".repeat(20_000))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_comparisons_and_the_day_s_values_are_suggested() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let at = async |query: &str| {
        let path = format!("/api/v1/query/flow?date={DAY}&q={}&at={}", encoded(query), query.len());
        let answer = ok(&server, &path).await;
        let words: Vec<String> = answer["suggestions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["insert"].as_str().unwrap().to_owned())
            .collect();
        (words, answer)
    };
    assert_eq!(at("src_i").await.0.first().map(String::as_str), Some("src_ip"));
    assert!(at("src_ip ").await.0.contains(&"in".to_owned()));
    let (values, answer) = at("src_ip == 10.0.0.2").await;
    assert_eq!(values, ["10.0.0.2"]);
    assert_eq!((&answer["replace"]["start"], &answer["replace"]["end"]), (&json!(10), &json!(18)));
    assert!(answer["suggestions"][0]["count"].as_u64().unwrap() > 0);
    assert_eq!(at("proto == tc").await.0, ["tcp"]);
    assert_eq!(at("src_ip == 10.0.0.2 ").await.0, ["and", "or"]);
    assert_eq!(at("src_ip == 10.0.0.2' OR 1=1").await.0, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surrounds_a_host_is_counted_from_the_raw_records() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let around = ok(&server, &format!("/api/v1/around/flow?ip=10.0.0.2&date={DAY}")).await;
    // 2 and 4 were sent, 500 and 600 bytes; 3 came in with 700.
    assert_eq!(
        around,
        json!({"peers": [{"peer": "198.51.100.2", "internal": false, "bytes_out": 1100.0, "bytes_in": 700.0, "connections": 3}], "more": false})
    );
    let around = ok(&server, &format!("/api/v1/around/flow?ip=10.0.0.6&date={DAY}")).await;
    assert_eq!(around["peers"][0]["internal"], true);
    let dns = ok(&server, &format!("/api/v1/around/dns?name={}&date={DAY}", encoded(HOSTILE))).await;
    assert_eq!(dns["names"][0]["qname"], HOSTILE.to_lowercase());
    let client = dns["names"][0]["client_ip"].as_str().unwrap();
    let dns = ok(&server, &format!("/api/v1/around/dns?client={client}&date={DAY}&limit=1")).await;
    assert_eq!(dns["names"].as_array().unwrap().len(), 1);
    for bad in [
        format!("/api/v1/around/flow?ip=x&date={DAY}"),
        "/api/v1/around/flow?ip=10.0.0.2&date=soon".to_owned(),
        format!("/api/v1/around/dns?date={DAY}"),
        format!("/api/v1/around/dns?client=10.0.0.1&name=a&date={DAY}"),
        format!("/api/v1/around/dns?client=%27&date={DAY}"),
    ] {
        assert_eq!(server.get(&bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_saved_listed_saved_over_and_deleted() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let new = json!({"page": "suspicious/flow", "name": HOSTILE, "shared": false, "query": "v=1&sort=-src_bytes"});
    let saved = change(&server, "POST", "/api/v1/views", &new.to_string()).await;
    assert_eq!(saved.status, StatusCode::OK, "{}", saved.text());
    let saved = saved.json();
    assert_eq!(
        (&saved["name"], &saved["own"], &saved["query"]),
        (&json!(HOSTILE), &json!(true), &json!("v=1&sort=-src_bytes"))
    );
    let again = change(&server, "POST", "/api/v1/views", &new.to_string()).await.json();
    assert_eq!(again["id"], saved["id"]);
    let list = ok(&server, "/api/v1/views?page=suspicious/flow").await;
    assert_eq!(list["views"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/views/{}", saved["id"]);
    assert_eq!(change(&server, "DELETE", &path, "").await.status, StatusCode::OK);
    assert_eq!(change(&server, "DELETE", &path, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ok(&server, "/api/v1/views?page=suspicious/flow").await["views"], json!([]));
    for bad in [
        json!({"page": "suspicious/flow", "name": " ", "shared": false, "query": ""}),
        json!({"page": "../x", "name": "a", "shared": false, "query": ""}),
        json!({"page": "sql", "name": "a", "shared": false, "query": "x".repeat(9000)}),
        json!({"page": "sql", "name": "a".repeat(101), "shared": false, "query": ""}),
        json!({"page": "sql", "name": "a", "shared": "yes", "query": ""}),
        json!({"page": "sql", "name": "a", "shared": true, "query": "", "owner": "root"}),
    ] {
        assert_eq!(
            change(&server, "POST", "/api/v1/views", &bad.to_string()).await.status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}
