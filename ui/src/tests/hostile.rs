//! What attackers send to every route that changes something: other sites' requests, bodies that are too large, too slow or
//! not what they claim, and SQL in every field.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::door::filled;
use super::lake::{DAY, known};
use super::{PORT, Server, request};
use crate::door::{Declared, Least};

/// The routes that are not read only, but those of the way in.
fn changing() -> Vec<Declared> {
    let routes = crate::api::routes();
    let all = routes.table().iter().filter(|route| route.method != Method::GET && route.least != Least::Open);
    all.cloned().collect()
}

#[tokio::test]
async fn no_other_site_changes_anything_by_a_person_s_session() {
    let server = Server::over_empty();
    let cookie = server.sign_in().await;
    let routes = changing();
    assert!(routes.len() > 20 && routes.iter().any(|route| route.path == "/graphql"));
    for route in routes {
        let path = filled(route.path);
        let ask = async |extra: &[(&str, &str)]| {
            let mut request = request(route.method.as_str(), &path)
                .header(header::COOKIE, &cookie)
                .header(header::CONTENT_TYPE, "application/json");
            for (name, value) in extra {
                request = request.header(*name, *value);
            }
            server.send(request.body(Body::from("{}")).unwrap()).await.status
        };
        let own = format!("http://127.0.0.1:{PORT}");
        for forged in [
            &[][..],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:1")],
            // The browser knows better than the header.
            &[("origin", own.as_str()), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            &[("origin", own.as_str()), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")],
        ] {
            assert_eq!(ask(forged).await, StatusCode::FORBIDDEN, "{} {path} {forged:?}", route.method);
        }
    }
}

#[tokio::test]
async fn a_body_beyond_its_route_s_bound_is_refused_before_it_is_read_whole() {
    let server = Server::over_empty();
    for route in changing() {
        let path = filled(route.path);
        // It says no length, and would go on for ever.
        let chunk = Bytes::from(vec![b' '; 64 << 10]);
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&sent);
        let endless = futures::stream::repeat_with(move || {
            count.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(chunk.clone())
        });
        let request = request(route.method.as_str(), &path)
            .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
            .header(header::CONTENT_TYPE, "application/json");
        let answer = server.send(request.body(Body::from_stream(endless)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{} {path}: {}", route.method, answer.text());
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        assert!(sent <= (16 << 20) + (128 << 10), "{path}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_holds_no_place() {
    let server = Server::over_empty();
    let ask = async |path: &str| {
        let never = futures::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let request = request("POST", path)
            .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
            .header(header::CONTENT_TYPE, "application/json");
        let asked = server.send(request.body(Body::from_stream(never)).unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(120), asked).await.unwrap();
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT, "{path}: {}", answer.text());
    };
    // As many as there are places for requests, and more.
    let slow = (0..5).flat_map(|_| ["/api/v1/views", "/graphql", "/api/v1/sql", "/api/v1/stories"]).map(ask);
    let (_, prompt) = futures::join!(futures::future::join_all(slow), server.get("/api/v1/days"));
    assert_eq!(prompt.status, StatusCode::OK);
}

/// A value that a schema takes, as small as can be.
fn sample(document: &Value, schema: &Value, depth: u8) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return sample(
            document,
            &document[path.trim_start_matches("#/").split('/').next().unwrap()]["schemas"]
                [path.rsplit('/').next().unwrap()],
            depth,
        );
    }
    for joint in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema[joint].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            return sample(document, first, depth);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("object") if depth > 0 => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let made: Map<String, Value> = fields
                .iter()
                .map(|(name, field)| (name.clone(), named(name).unwrap_or_else(|| sample(document, field, depth - 1))))
                .collect();
            Value::Object(made)
        }
        Some("array") => json!([sample(document, &schema["items"], depth.saturating_sub(1))]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        _ => json!("x"),
    }
}

/// What fields of these names hold.
fn named(name: &str) -> Option<Value> {
    Some(match name {
        "date" => json!(DAY),
        "from" | "first_seen" | "time" => json!(format!("{DAY}T00:00:00Z")),
        "to" => json!(format!("{DAY}T23:00:00Z")),
        "page" => json!("suspicious/flow"),
        "record_id" => json!("0".repeat(32)),
        "subject" => json!("10.0.0.2"),
        "sql" => json!("SELECT 1"),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_a_body_becomes_sql_or_breaks_the_server() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let bearer = format!("Bearer {}", server.token);
    let document: Value = serde_json::from_str(&crate::api::openapi().unwrap()).unwrap();
    let payloads = [
        json!("' OR 1=1 --"),
        json!("x'); DROP TABLE flow; --"),
        json!("../../../../etc/passwd"),
        json!("\u{0}\u{202e}<script>alert(1)</script>"),
        json!(-1),
        json!(9_007_199_254_740_993_i64),
        json!(null),
        json!([[]]),
    ];
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let whole = &sample(&document, schema, 4);
            let bodies = whole.as_object().into_iter().flatten().flat_map(|(name, _)| {
                payloads.iter().map(move |payload| {
                    let mut body = whole.clone();
                    body[name.as_str()] = payload.clone();
                    body
                })
            });
            for body in bodies.chain([json!([]), json!("x"), json!({})]) {
                let request = request(&method.to_uppercase(), &filled(path).replace("story_id", "1"))
                    .header(header::AUTHORIZATION, &bearer)
                    .header(header::CONTENT_TYPE, "application/json");
                let answer = server.send(request.body(Body::from(body.to_string())).unwrap()).await;
                assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {}", answer.text());
                assert!(!answer.text().contains("root:x:0"), "{method} {path} {body}");
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked}");
    let left = server.get(&format!("/api/v1/ingest/flow?date={DAY}")).await.json();
    assert_eq!(left["total"], 6, "the records are all there");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_graphql_becomes_sql() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake);
    let ask = async |query: &str, value: &str| {
        let request = request("POST", "/graphql")
            .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
            .header(header::CONTENT_TYPE, "application/json");
        let body = json!({"query": query, "variables": {"text": value}}).to_string();
        let answer = server.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{query} {value}: {}", answer.text());
        answer.json()
    };
    let texts = [
        format!("query($text: String) {{ dns {{ suspicious(date: \"{DAY}\", dnsQuery: $text) {{ dnsQuery }} }} }}"),
        format!(
            "query($text: String!) {{ dns {{ edgeDetails(frameTime: \"{DAY} 03:00:00\", dnsQuery: $text) {{ dnsQuery }} }} }}"
        ),
        format!(
            "query($text: String) {{ dns {{ threat {{ details(date: \"{DAY}\", dnsQuery: $text) {{ total }} }} }} }}"
        ),
        format!("query($text: String) {{ proxy {{ suspicious(date: \"{DAY}\", uri: $text) {{ uri }} }} }}"),
        format!("query($text: String!) {{ proxy {{ threat {{ details(date: \"{DAY}\", uri: $text) {{ uri }} }} }} }}"),
        format!(
            "query($text: String!) {{ proxy {{ threat {{ timeline(date: \"{DAY}\", uri: $text) {{ clientIp }} }} }} }}"
        ),
        format!(
            "mutation($text: String!) {{ proxy {{ score(input: [{{date: \"{DAY}\", score: 1, uri: $text}}]) {{ success }} }} }}"
        ),
        format!(
            "mutation($text: String) {{ dns {{ score(input: [{{date: \"{DAY}\", score: 1, dnsQuery: $text}}]) {{ success }} }} }}"
        ),
    ];
    for query in &texts {
        for value in ["' OR 1=1 --", "%' OR '1'='1", "x' UNION SELECT 1 --", "\\", "%", "_", "$1", "\u{0}"] {
            let answer = ask(query, value).await;
            // An attack finds no row, scores nothing; `%` and `_` are characters, not wildcards.
            let found = answer["data"].to_string();
            let is_one = |text: &str| found.contains(&format!("\"{text}\":"));
            let hit = is_one("clientIp") || is_one("uri") || is_one("total") || found.contains("\"success\":true");
            // A name of the wire may have any of the single characters.
            let may = value.chars().count() == 1;
            assert!(may || !(hit || is_one("dnsQuery")), "{query} {value}: {answer}");
        }
    }
    for scalar in ["SpotIpType", "SpotDateType"] {
        let argument = if scalar == "SpotIpType" { "ip: $text" } else { "date: $text, ip: \"10.0.0.2\"" };
        let query = format!("query($text: {scalar}) {{ flow {{ suspicious({argument}) {{ srcIp }} }} }}");
        let answer = ask(&query, "10.0.0.2' OR 1=1 --").await;
        assert!(answer["errors"].is_array() && answer["data"]["flow"].is_null(), "{answer}");
    }
}
