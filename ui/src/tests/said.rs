//! Verdicts and rules over HTTP: they act on the lists at once, say what they would reach, and can be taken back.

use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::lake::{DAY, UNSCORED, id, known, write_list};
use super::{Answer, Server};

fn server() -> Server {
    let (dir, lake) = known();
    Server::over(dir, lake)
}

async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let request = super::request(method, path)
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
        .header(header::CONTENT_TYPE, "application/json");
    server.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn ok(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let answer = send(server, method, path, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

/// Records of the day's flow list, and how many are left out.
async fn listed(server: &Server, query: &str) -> (Vec<u32>, u64) {
    let list = server.get(&format!("/api/v1/suspicious/flow?groups=off&{query}")).await.json();
    let ids = list["rows"].as_array().unwrap().iter().map(|row| row["record_id"].as_str().unwrap());
    (ids.map(|id| u32::from_str_radix(id, 16).unwrap()).collect(), list["left_out"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_takes_its_rows_out_of_the_list_at_once_and_undo_brings_them_back() {
    let server = server();
    let draft = |scope: &str, record: u32, severity: u8| json!({"source": "flow", "record_id": id(record), "date": DAY, "scope": scope, "severity": severity, "note": "<b>known</b>"});
    let preview = ok(&server, "POST", "/api/v1/verdicts/preview", draft("endpoints", 2, 3)).await;
    assert_eq!(
        (&preview["rows"], &preview["records"], &preview["hosts"]),
        (&json!(2), &json!(2), &json!(1)),
        "{preview}"
    );
    assert_eq!((&preview["records_of_day"], &preview["sample"][0]), (&json!(6), &json!(id(2))));
    assert_eq!(listed(&server, "").await, (vec![1, 2, 4, 3, 5], 0), "a preview saves nothing");

    let given =
        ok(&server, "POST", "/api/v1/verdicts", json!({"verdicts": [draft("endpoints", 2, 3), draft("record", 1, 1)]}))
            .await;
    assert_eq!(
        given["batches"],
        json!([{"id": 1, "query": "2 rows that were chosen", "given": 2, "standing": 2}]),
        "what was chosen together is taken back together"
    );
    let given = given["verdicts"].as_array().unwrap();
    assert_eq!(given[1]["matcher"], json!({"host": "10.0.0.2", "peer": "198.51.100.2", "port": "23", "proto": 6}));
    assert_eq!((&given[1]["note"], &given[1]["state"]), (&json!("<b>known</b>"), &json!("in_force")));
    assert_eq!(listed(&server, "").await, (vec![3, 5], 3));
    assert_eq!(listed(&server, "show=rated").await, (vec![1, 2, 4], 2));
    assert_eq!(listed(&server, "show=all").await, (vec![1, 2, 4, 3, 5], 0));
    // A file has the rows that are shown.
    for (show, rows) in [("", 2), ("&show=open", 2), ("&show=rated", 3), ("&show=all", 5)] {
        let path = format!("/api/v1/export/suspicious/flow?format=jsonl&date={DAY}&groups=off{show}");
        assert_eq!(server.get(&path).await.text().lines().count(), rows, "{show}");
    }
    // A group that is opened is shown whole.
    assert_eq!(listed(&server, "group=0000000000000002").await.0, [2, 4, 3]);
    let row = server.get(&format!("/api/v1/suspicious/flow/{}?date={DAY}", id(4))).await.json();
    assert_eq!((&row["said"]["severity"], &row["said"]["verdict"]), (&json!(3), &given[1]["id"]));

    let path = format!("/api/v1/verdicts/{}?note=wrong", given[1]["id"]);
    let taken = ok(&server, "DELETE", &path, Value::Null).await;
    assert_eq!(taken["state"], "taken_back");
    assert_eq!(listed(&server, "").await, (vec![2, 4, 3, 5], 1));
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.status, StatusCode::BAD_REQUEST);
    let log = server.get("/api/v1/verdicts?ended=on").await.json();
    assert_eq!(log["verdicts"].as_array().unwrap().len(), 2);
    assert_eq!(server.get("/api/v1/verdicts").await.json()["verdicts"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_suppresses_until_it_is_retired() {
    let server = server();
    let rule = json!({"source": "flow", "action": "suppress", "name": "lab", "matcher": {"address": "2001:db8::/32"}});
    let preview = ok(&server, "POST", "/api/v1/rules/preview", rule.clone()).await;
    assert_eq!((&preview["rows"], &preview["records"]), (&json!(1), &json!(1)));
    let made = ok(&server, "POST", "/api/v1/rules", rule).await;
    assert_eq!(listed(&server, "").await, (vec![1, 2, 4, 3], 1));
    assert_eq!(listed(&server, "show=ruled").await.0, [5]);
    let list = server.get("/api/v1/rules").await.json();
    assert_eq!((&list["rules"][0]["name"], list["heuristics"].as_array().unwrap().len()), (&json!("lab"), 4));
    let retired = ok(&server, "DELETE", &format!("/api/v1/rules/{}", made["id"]), Value::Null).await;
    assert_eq!(retired["state"], "taken_back");
    assert_eq!(listed(&server, "").await, (vec![1, 2, 4, 3, 5], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_what_to_do() {
    let server = server();
    let verdict = |body: Value| json!({"verdicts": [body]});
    for (body, part) in [
        (json!({"verdicts": []}), "1 to 200"),
        (verdict(json!({"source": "flow", "scope": "pattern", "severity": 3})), "needs a matcher"),
        (
            verdict(json!({"source": "flow", "scope": "pattern", "severity": 3, "matcher": {}})),
            "at least one condition",
        ),
        (
            verdict(json!({"source": "flow", "scope": "pattern", "severity": 3, "matcher": {"domain": "x.example"}})),
            "no domain",
        ),
        (verdict(json!({"source": "flow", "scope": "pattern", "severity": 4, "matcher": {"port": "1"}})), "severity"),
        (verdict(json!({"source": "flow", "scope": "pattern", "severity": 3, "matcher": {"port": "1-"}})), "port"),
        (verdict(json!({"source": "flow", "scope": "group", "severity": 3, "record_id": "zz"})), "record_id"),
        (
            verdict(json!({"source": "flow", "scope": "group", "severity": 3, "record_id": id(7), "date": UNSCORED})),
            "no score",
        ),
        (
            verdict(
                json!({"source": "flow", "scope": "record", "severity": 3, "record_id": id(1), "expires": "2001-01-01T00:00:00Z"}),
            ),
            "expired",
        ),
        (
            verdict(json!({"source": "flow", "scope": "record", "severity": 3, "record_id": id(1), "supersedes": 77})),
            "77",
        ),
        (json!({"verdicts": [], "x": 1}), "unknown field"),
    ] {
        let answer = send(&server, "POST", "/api/v1/verdicts", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text());
        assert!(answer.text().contains(part), "{body}: {}", answer.text());
    }
    let gone = verdict(json!({"source": "flow", "scope": "record", "severity": 3, "record_id": id(99), "date": DAY}));
    assert_eq!(send(&server, "POST", "/api/v1/verdicts", &gone).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&server, "DELETE", "/api/v1/verdicts/99", &Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&server, "DELETE", "/api/v1/rules/x", &Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn context_says_what_files_and_the_lake_know() {
    let (dir, lake) = known();
    let list = dir.path().join("bad.csv");
    std::fs::write(&list, "indicator,level,label\n198.51.100.0/24,2,scanner\nevil.example,3,c2\n").unwrap();
    let store = analytics::context::Store::of_lake(lake.dir());
    store.add(analytics::context::Kind::Reputation, &list).unwrap();
    let server = Server::over(dir, lake);
    let peer = server.get("/api/v1/context/198.51.100.2").await;
    assert_eq!(peer.status, StatusCode::OK, "{}", peer.text());
    let peer = peer.json();
    assert_eq!((&peer["kind"], &peer["internal"], &peer["reputation"]), (&json!("address"), &json!(false), &json!(2)));
    assert_eq!(peer["reputation_source"], "bad.csv: scanner");
    assert_eq!((&peer["prevalence"]["hosts"], &peer["prevalence"]["records"]), (&json!(1), &json!(2)), "{peer}");
    let name = server.get("/api/v1/context/EVIL.example").await.json();
    assert_eq!((&name["reputation"], &name["prevalence"]["records"]), (&json!(3), &json!(2)), "{name}");
    let agent = server.get("/api/v1/context/curl%2F7.88").await.json();
    assert_eq!((&agent["kind"], &agent["prevalence"]["records"]), (&json!("agent"), &json!(1)), "{agent}");
    assert_eq!(server.get("/api/v1/context/x.example?days=0").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/api/v1/context/999.1.1.1?kind=address").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storyboard_places_peers_as_soon_as_a_geo_file_is_there() {
    let (dir, lake) = known();
    let list = dir.path().join("iploc.csv");
    let number = u32::from(std::net::Ipv4Addr::new(198, 51, 100, 2));
    let row = format!(
        "\"{number}\",\"{number}\",\"IS\",\"Iceland\",\"Capital\",\"Reykjavik\",\"64.1\",\"-21.9\",\"Cloud, Inc\",\"example.net\"\n"
    );
    std::fs::write(&list, row).unwrap();
    let store = analytics::context::Store::of_lake(lake.dir());
    let server = Server::over(dir, lake);
    let path = format!("/api/v1/board?subject=10.0.0.2&from={DAY}T00:00:00Z&to={DAY}T23:00:00Z");
    let before = server.get(&path).await.json();
    assert_eq!((&before["has_geo"], &before["places"]), (&json!(false), &json!([])));
    store.add(analytics::context::Kind::Geo, &list).unwrap();
    let after = server.get(&path).await.json();
    assert_eq!(after["has_geo"], true);
    let place = &after["places"][0];
    assert_eq!((&place["ip"], &place["is_subject"]), (&json!("198.51.100.2"), &json!(false)), "{place}");
    assert_eq!((&place["latitude"], &place["longitude"]), (&json!(64.1), &json!(-21.9)));
    assert_eq!(place["location"], "Reykjavik, Capital, IS, Cloud, Inc");
    assert_eq!(after["places"].as_array().unwrap().len(), 1, "who is nowhere is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_query_are_rated_as_one_and_taken_back_as_one() {
    let server = server();
    let asked =
        |filter: &str| json!({"source": "flow", "date": DAY, "filter": filter, "severity": 3, "note": "scanner"});
    let preview = ok(&server, "POST", "/api/v1/verdicts/query/preview", asked("src_ip == 10.0.0.0/8")).await;
    let expected = json!({"date": DAY, "run_id": "run-1", "rows": 3, "groups": 2, "rated": 0, "best_rank": 1,
        "sample": [id(1), id(2), id(4)], "most": 5000});
    assert_eq!(preview, expected);
    assert_eq!(listed(&server, "").await, (vec![1, 2, 4, 3, 5], 0), "a preview saves nothing");

    // One of them has a verdict already; the new one stands in its place, and it in the new one's when that is taken back.
    let high =
        json!({"verdicts": [{"source": "flow", "record_id": id(2), "date": DAY, "scope": "record", "severity": 1}]});
    let high = ok(&server, "POST", "/api/v1/verdicts", high).await["verdicts"][0]["id"].clone();
    let mut all = asked("src_ip == 10.0.0.0/8");
    all["show"] = json!("all");
    (all["run_id"], all["rows"]) = (json!("run-1"), json!(3));
    let given = ok(&server, "POST", "/api/v1/verdicts/query", all).await;
    assert_eq!(given["verdicts"], 3);
    assert_eq!(listed(&server, "").await, (vec![3, 5], 3), "the group's third row was not found and is not rated");
    let list = server.get("/api/v1/verdicts").await.json();
    let (verdicts, batch) = (list["verdicts"].as_array().unwrap(), &given["batch"]);
    assert!(verdicts.iter().all(|one| one["scope"] == "record"
        && one["severity"] == 3
        && one["note"] == "scanner"
        && one["batch"] == *batch));
    assert_eq!(verdicts[0]["first_seen"], format!("{DAY}T03:16:00.000000Z"));
    let records: Vec<&Value> = verdicts.iter().map(|one| &one["record_id"]).collect();
    assert_eq!(records, [&json!(id(4)), &json!(id(2)), &json!(id(1))]);
    let query = format!("{DAY}, scored or not: src_ip == 10.0.0.0/8");
    assert_eq!(list["batches"], json!([{"id": batch, "query": query, "given": 3, "standing": 3}]));
    // A page at a time reaches every one, those that ended too.
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/verdicts?ended=on&limit=1{before}")).await.json();
        seen.push(page["verdicts"][0]["id"].as_i64().unwrap());
        let Some(next) = page["next_before"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen.len(), 4);

    // One of the batch was changed meanwhile: what stands of it is taken back.
    let path = format!("/api/v1/verdicts/{}", verdicts[0]["id"]);
    ok(&server, "DELETE", &path, Value::Null).await;
    let path = format!("/api/v1/verdict-batches/{batch}?note=wrong");
    assert_eq!(ok(&server, "DELETE", &path, Value::Null).await, json!({"taken_back": 2, "ended_before": 1}));
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(listed(&server, "").await, (vec![1, 4, 3, 5], 1));
    let list = server.get("/api/v1/verdicts").await.json();
    assert_eq!((&list["verdicts"][0]["id"], list["verdicts"].as_array().unwrap().len()), (&high, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_a_query_is_refused_where_the_list_is_another_or_too_long() {
    let server = server();
    let asked = |more: Value| {
        let mut body = json!({"source": "flow", "date": DAY, "severity": 3});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({"filter": "src_ip =="}), StatusCode::BAD_REQUEST, "at character"),
        (json!({"filter": "dst_port == 1"}), StatusCode::BAD_REQUEST, "no row"),
        (json!({"severity": 4}), StatusCode::BAD_REQUEST, "severity"),
        (json!({"expires": "2016-01-01T00:00:00Z"}), StatusCode::BAD_REQUEST, "expired"),
        (json!({"run_id": "run-0"}), StatusCode::CONFLICT, "scored again"),
        (json!({"rows": 4}), StatusCode::CONFLICT, "5 rows now, not 4"),
        (json!({"date": UNSCORED}), StatusCode::NOT_FOUND, "scored flow records"),
        (json!({"date": "yesterday"}), StatusCode::BAD_REQUEST, "date"),
        (json!({"note": "x".repeat(4001)}), StatusCode::BAD_REQUEST, "4000"),
    ];
    for (more, status, wanted) in cases {
        let answer = send(&server, "POST", "/api/v1/verdicts/query", &asked(more)).await;
        assert!(answer.status == status && answer.text().contains(wanted), "{wanted}: {}", answer.text());
    }
    for batch in ["1", "x", "99999999999999999999"] {
        let answer = send(&server, "DELETE", &format!("/api/v1/verdict-batches/{batch}"), &Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(server.get("/api/v1/verdicts?ended=on").await.json()["verdicts"], json!([]), "nothing was saved");
    write_list(server.lake(), 5001);
    let preview = ok(&server, "POST", "/api/v1/verdicts/query/preview", asked(json!({}))).await;
    assert_eq!((&preview["rows"], &preview["most"]), (&json!(5001), &json!(5000)));
    let answer = send(&server, "POST", "/api/v1/verdicts/query", &asked(json!({}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("finds 5001 rows") && answer.text().contains("5000 at most"), "{}", answer.text());
    let given = ok(&server, "POST", "/api/v1/verdicts/query", asked(json!({"filter": "src_port != 1"}))).await;
    assert_eq!(given["verdicts"], 5000);
    assert_eq!(listed(&server, "limit=10").await, (vec![1], 5000));
}
