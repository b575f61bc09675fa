//! The audit log of what was read: searches, exports and statements, with their rows.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Server;
use super::lake::{DAY, id};
use crate::door::Work;

/// (actor, action, subject, detail), oldest first, from the entry after `before` on.
async fn entries(server: &Server, before: usize) -> Vec<[String; 4]> {
    let root = server.log_in("root").await;
    let page = server.ask("GET", "/api/v1/audit?limit=500", &root, None).await.json();
    let mut entries: Vec<[String; 4]> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["actor", "action", "subject", "detail"].map(|key| entry[key].as_str().unwrap().to_owned()))
        .collect();
    entries.reverse();
    // The sign-in of this look.
    entries.pop();
    entries.split_off(before)
}

fn told(entries: &[[String; 4]]) -> Vec<(&str, &str, &str)> {
    entries.iter().map(|[_, action, subject, detail]| (&**action, &**subject, &**detail)).collect()
}

const SPAN: &str = "from=2016-07-08T00:00:00Z&to=2016-07-09T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_in_the_audit_log_with_their_rows() {
    let server = Server::with_accounts().await;
    let vic = server.log_in("vic").await;
    let before = entries(&server, 0).await.len();
    let ok = async |path: &str| {
        let answer = server.ask("GET", path, &vic, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer
    };
    let investigation = format!("/api/v1/investigation?subject=10.0.0.2&{SPAN}");
    let found = ok(&investigation).await;
    let tag = found.header(axum::http::header::ETAG).to_owned();
    // The same from the cache, and what the browser has already: the same search.
    ok(&investigation).await;
    let again = super::request("GET", &investigation)
        .header(axum::http::header::COOKIE, &vic)
        .header(axum::http::header::IF_NONE_MATCH, tag);
    let again = server.send(again.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let page = ok(&format!("/api/v1/timeline?subject=10.0.0.2&limit=2&{SPAN}")).await.json();
    // The next page is of the same search.
    let cursor = page["next_cursor"].as_str().unwrap();
    ok(&format!("/api/v1/timeline?subject=10.0.0.2&limit=2&{SPAN}&cursor={cursor}")).await;
    ok(&format!("/api/v1/investigation/connections?subject=10.0.0.1&{SPAN}")).await;
    ok(&format!("/api/v1/service/tcp/443?{SPAN}")).await;
    let list = ok(&format!("/api/v1/suspicious/flow?date={DAY}&filter=10.0.0.2&limit=1")).await.json();
    assert_eq!(list["matching"], 3);
    // The list of the day is no search; what is refused gave no rows.
    ok(&format!("/api/v1/suspicious/flow?date={DAY}")).await;
    let bad = server.ask("GET", &format!("/api/v1/timeline?subject=&{SPAN}"), &vic, None).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let log = entries(&server, before).await;
    let span = "from=\"2016-07-08T00:00:00Z\" to=\"2016-07-09T00:00:00Z\"";
    let investigation = format!("/api/v1/investigation subject=\"10.0.0.2\" {span}");
    assert_eq!(
        told(&log)[1..],
        [
            ("search", &*investigation, "3 rows"),
            ("search", &investigation, "3 rows"),
            ("search", &investigation, "3 rows"),
            ("search", &format!("/api/v1/timeline subject=\"10.0.0.2\" limit=\"2\" {span}"), "2 rows"),
            ("search", &format!("/api/v1/investigation/connections subject=\"10.0.0.1\" {span}"), "1 row"),
            ("search", &format!("/api/v1/service/tcp/443 {span}"), "2 rows"),
            ("search", &format!("/api/v1/suspicious/flow date=\"{DAY}\" filter=\"10.0.0.2\" limit=\"1\""), "3 rows"),
        ]
    );
    assert!(log[1..].iter().all(|[actor, ..]| actor == "vic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_statements_are_in_the_audit_log_before_they_run_and_with_their_rows_after() {
    let server = Server::with_accounts().await;
    let ann = server.log_in("ann").await;
    let before = entries(&server, 0).await.len();
    let export = format!("/api/v1/export/suspicious/flow?format=jsonl&date={DAY}&groups=off");
    let answer = server.ask("GET", &export, &ann, None).await;
    assert_eq!(answer.text().lines().count(), 5, "{}", answer.text());
    let sigma = format!("/api/v1/export/records/dns?format=sigma&subject=10.0.0.1&{SPAN}");
    assert_eq!(server.ask("GET", &sigma, &ann, None).await.status, StatusCode::OK);
    let statement = "SELECT src_ip FROM flow WHERE dst_port = 23";
    let answer = server.ask("POST", "/api/v1/sql", &ann, Some(json!({"sql": statement}))).await;
    assert_eq!(answer.json()["rows"], 4);
    let answer = server.ask("POST", "/api/v1/sql/export?format=jsonl", &ann, Some(json!({"sql": statement}))).await;
    assert_eq!(answer.text().lines().count(), 4);
    let wrong = server.ask("POST", "/api/v1/sql", &ann, Some(json!({"sql": "SELECT nothing FROM flow"}))).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let log = entries(&server, before).await;
    let number = |at: usize| format!("entry {}", before + 2 + at);
    assert_eq!(
        told(&log)[1..8],
        [
            ("export", &*format!("/api/v1/export/suspicious/flow format=\"jsonl\" date=\"{DAY}\" groups=\"off\""), ""),
            ("export.end", &number(0), "5 rows"),
            (
                "export",
                "/api/v1/export/records/dns format=\"sigma\" subject=\"10.0.0.1\" from=\"2016-07-08T00:00:00Z\" to=\"2016-07-09T00:00:00Z\"",
                ""
            ),
            ("export.end", &number(2), "0 rows"),
            ("sql", statement, ""),
            ("sql.end", &number(4), "4 rows"),
            ("sql.export", statement, ""),
        ]
    );
    assert_eq!(told(&log)[8], ("sql.export.end", &*number(6), "4 rows"));
    assert_eq!(told(&log)[9], ("sql", "SELECT nothing FROM flow", ""));
    assert!(log[10][3].starts_with("broke off after 0 rows: "), "{:?}", log[10]);
    assert_eq!(log.len(), 12, "the refusal is told once more, as every change that is refused: {log:?}");
}

/// Who opened which record: once for each of its views, however often it is looked at; and what surrounds it.
#[tokio::test(flavor = "multi_thread")]
async fn opened_records_are_in_the_audit_log_once_for_each_who_looks() {
    let server = Server::with_accounts().await;
    let (vic, ann) = (server.log_in("vic").await, server.log_in("ann").await);
    let before = entries(&server, 0).await.len();
    let around = "src=10.0.0.2&dst=198.51.100.2&time=2016-07-08T03:15:02Z";
    let details = format!("/api/v1/details/flow?{around}&record_id={}", id(2));
    let record = format!("/api/v1/record/flow/{}?date={DAY}", id(2));
    let ok = async |path: &str, session: &str| {
        let answer = server.ask("GET", path, session, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    };
    for path in [&details, &record, &details, &details, &record] {
        ok(path, &vic).await;
    }
    ok(&record, &ann).await;
    ok(&format!("/api/v1/suspicious/flow/{}?date={DAY}", id(4)), &ann).await;
    // A script that does not say which record it is for.
    ok(&format!("/api/v1/details/flow?{around}"), &ann).await;
    ok(&format!("/api/v1/around/flow?ip=10.0.0.2&date={DAY}"), &ann).await;
    ok(&format!("/api/v1/details/dns?name=evil.example&time={DAY}T03:00:00Z&record_id={}", id(101)), &ann).await;
    // What gives nothing is not opened.
    let wrong = server.ask("GET", &format!("/api/v1/record/flow/{}?date={DAY}", id(4711)), &ann, None).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    let wrong = server.ask("GET", &format!("/api/v1/details/flow?{around}&record_id=x"), &ann, None).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let log = entries(&server, before).await;
    let asked = "/api/v1/details/flow src=\"10.0.0.2\" dst=\"198.51.100.2\" time=\"2016-07-08T03:15:02Z\"";
    let (two, four) = (format!("flow record {}", id(2)), format!("flow record {}", id(4)));
    let all = format!("/api/v1/record/flow/{} date=\"{DAY}\": 1 row", id(2));
    assert_eq!(
        told(&log)[1..],
        [
            ("open", &*two, &*format!("{asked} record_id=\"{}\": 2 rows", id(2))),
            ("open", &two, &all),
            ("open", &two, &all),
            ("open", &four, &format!("/api/v1/suspicious/flow/{} date=\"{DAY}\": 1 row", id(4))),
            ("open", asked, "2 rows"),
            ("open", &format!("/api/v1/around/flow ip=\"10.0.0.2\" date=\"{DAY}\""), "1 row"),
            (
                "open",
                &format!("dns record {}", id(101)),
                &format!(
                    "/api/v1/details/dns name=\"evil.example\" time=\"{DAY}T03:00:00Z\" record_id=\"{}\": 1 row",
                    id(101)
                )
            ),
        ]
    );
    let who: Vec<&str> = log[1..].iter().map(|[actor, ..]| &**actor).collect();
    assert_eq!(who, ["vic", "vic", "ann", "ann", "ann", "ann", "ann"]);
    assert_eq!(server.lake().state().check_audit(&[]).unwrap().broken, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_nobody_waits_for_any_more_is_told_as_given_up() {
    let server = Server::with_accounts().await;
    let caller = crate::door::Caller {
        name: "ann".into(),
        role: Some(crate::Role::Analyst),
        via: crate::door::Via::Session,
        address: "192.0.2.7".parse().unwrap(),
    };
    let mut work = Work::begin(&server.app, &caller, "export", "all of it").await.unwrap();
    work.rows(12);
    drop(work);
    let newest = || server.lake().state().audit(None, 1).unwrap().remove(0);
    // Written by a task of its own.
    for _ in 0..1000 {
        if newest().action == "export.end" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let end = newest();
    assert_eq!((&*end.action, &*end.detail, &*end.address), ("export.end", "given up after 12 rows", "192.0.2.7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_in_the_audit_log_with_what_it_says() {
    let server = Server::with_accounts().await;
    let ann = server.log_in("ann").await;
    let draft = json!({"source": "flow", "record_id": id(2), "date": DAY, "scope": "record", "severity": 1, "note": "C2 \"beacon\""});
    let answer = server.ask("POST", "/api/v1/verdicts", &ann, Some(json!({"verdicts": [draft]}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let [actor, action, subject, detail]: [String; 4] = entries(&server, 0).await.pop().unwrap();
    let number: &Value = &answer.json()["verdicts"][0]["id"];
    assert_eq!((&*actor, &*action, subject), ("ann", "verdict.give", format!("flow verdict {number}")));
    assert_eq!(detail, format!("severity 1, scope record, record {}, note \"C2 \\\"beacon\\\"\"", id(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_a_query_is_one_entry_with_the_query_and_its_rows_and_so_is_its_end() {
    let server = Server::with_accounts().await;
    let (ann, vic) = (server.log_in("ann").await, server.log_in("vic").await);
    let body = json!({"source": "flow", "date": DAY, "filter": "dst_port == 23", "severity": 2, "note": "telnet"});
    let refused = server.ask("POST", "/api/v1/verdicts/query", &vic, Some(body.clone())).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let answer = server.ask("POST", "/api/v1/verdicts/query", &ann, Some(body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let batch = answer.json()["batch"].clone();
    let ended = server.ask("DELETE", &format!("/api/v1/verdict-batches/{batch}"), &ann, None).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    let mut entries = entries(&server, 0).await;
    let end = entries.pop().unwrap();
    assert_eq!(end, ["ann", "verdict.take_back", &format!("verdict batch {batch}"), "4 verdicts, 0 had ended before"]);
    let detail = format!("severity 2, scope record, 4 rows of run run-1, {DAY}: dst_port == 23, note \"telnet\"");
    assert_eq!(entries.pop().unwrap(), ["ann", "verdict.give", &format!("flow verdict batch {batch}"), &detail]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_spot_s_graphql_reads_is_a_search_with_its_rows() {
    let server = Server::with_accounts().await;
    let vic = server.log_in("vic").await;
    let query = "query($d: SpotDateType!) { flow { suspicious(date: $d) { srcIp } } dns { suspicious(date: $d) { dnsQuery } } }";
    let body = json!({"query": query, "variables": {"d": DAY}});
    let answer = server.ask("POST", "/graphql", &vic, Some(body)).await.json();
    let rows: usize =
        ["flow", "dns"].iter().map(|source| answer["data"][source]["suspicious"].as_array().unwrap().len()).sum();
    assert!(rows > 1, "{answer}");
    let [actor, action, subject, detail] = entries(&server, 0).await.pop().unwrap();
    assert_eq!((&*actor, &*action, detail), ("vic", "search", format!("{rows} rows")));
    assert_eq!(subject, format!("/graphql query={query:?} variables={{\"d\":\"{DAY}\"}}"));
}
