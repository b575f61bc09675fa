//! Spot's GraphQL operations, and the SQL console: what they answer, and what they refuse.

use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::lake::{DAY, HOSTILE, known};
use super::{Answer, Server, request};

impl Server {
    /// POST of JSON with the API token.
    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = request("POST", path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn graphql(&self, query: &str, variables: Value) -> Value {
        let answer = self.post("/graphql", json!({"query": query, "variables": variables})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }
}

fn server() -> Server {
    let (dir, lake) = known();
    Server::over(dir, lake)
}

#[tokio::test]
async fn spot_s_scripts_get_spot_s_answers() {
    let server = server();
    let query = "query($date:SpotDateType!, $ip:SpotIpType) { flow { suspicious(date:$date, ip:$ip) { tstart srcIp dstIp dstPort protocol inBytes rank srcIp_isInternal } } }";
    let all = server.graphql(query, json!({"date": DAY})).await;
    let rows = all["data"]["flow"]["suspicious"].as_array().unwrap_or_else(|| panic!("{all}")).clone();
    assert_eq!(rows.len(), 5);
    assert_eq!(
        rows[0],
        json!({"tstart": "2016-07-08 03:15:01", "srcIp": "10.0.0.1", "dstIp": "198.51.100.1", "dstPort": 23, "protocol": "TCP",
            "inBytes": u64::MAX >> 1, "rank": 1, "srcIp_isInternal": null})
    );
    let one = server.graphql(query, json!({"date": DAY, "ip": "2001:DB8::5"})).await;
    assert_eq!(one["data"]["flow"]["suspicious"].as_array().unwrap().len(), 1);

    let rest = "query($date:SpotDateType!) {
        flow { edgeDetails(tstart:\"2016-07-08 03:15:30\", srcIp:\"10.0.0.2\", dstIp:\"198.51.100.2\") { inBytes flags }
            ipDetails(date:$date, ip:\"10.0.0.2\") { srcIp dstIp inBytes }
            threat { details(date:$date, ip:\"10.0.0.2\") { connections maxBytes avgBytes firstSeen } timeline(date:$date, ip:\"10.0.0.2\") { bytes } }
            ingestSummary(startDate:$date, endDate:$date) { datetime total } }
        dns { suspicious(date:$date, dnsQuery:\"evil\") { dnsQuery dnsQueryTypeLabel dnsQueryRcodeLabel tld frameLength }
            ipDetails(date:$date, clientIp:\"10.0.0.1\") { dnsQuery dnsQueryAnswers }
            threat { details(date:$date, clientIp:\"10.0.0.1\", first:2) { total dnsQuery } } }
        proxy { suspicious(date:$date, uri:\"drop\") { uri clientToServerBytes responseCodeLabel score }
            threat { incidentProgression(date:$date, uri:\"http://drop.example/a?b=1%20' OR 1=1\") { requests { clientIp requestMethod } refererFor } } } }";
    let rest = server.graphql(rest, json!({"date": DAY})).await;
    assert_eq!(rest["errors"], Value::Null, "{rest}");
    let flow = &rest["data"]["flow"];
    assert_eq!(
        flow["edgeDetails"],
        json!([{"inBytes": 500, "flags": "...AP.SF"}, {"inBytes": 700, "flags": "...AP.SF"}])
    );
    assert_eq!(
        flow["ipDetails"].as_array().unwrap().iter().map(|row| row["inBytes"].as_u64().unwrap()).sum::<u64>(),
        1800
    );
    assert_eq!(flow["threat"]["details"].as_array().unwrap().len(), 3);
    assert_eq!(
        flow["ingestSummary"].as_array().unwrap().iter().map(|row| row["total"].as_u64().unwrap()).sum::<u64>(),
        6
    );
    let dns = &rest["data"]["dns"];
    assert_eq!(
        dns["suspicious"],
        json!([{"dnsQuery": HOSTILE, "dnsQueryTypeLabel": "TXT", "dnsQueryRcodeLabel": "NXDomain", "tld": "\u{202e}evil.example", "frameLength": 180}])
    );
    assert_eq!(dns["ipDetails"].as_array().unwrap().len(), 3);
    assert_eq!(dns["threat"]["details"].as_array().unwrap().len(), 2);
    let proxy = &rest["data"]["proxy"];
    assert_eq!(proxy["suspicious"][0]["clientToServerBytes"], 90_000_000);
    assert_eq!(
        (&proxy["suspicious"][0]["score"], &proxy["suspicious"][0]["responseCodeLabel"]),
        (&json!(0.25), &json!("OK"))
    );
    assert_eq!(
        proxy["threat"]["incidentProgression"]["requests"],
        json!([{"clientIp": "10.0.0.1", "requestMethod": "POST"}])
    );
}

#[tokio::test]
async fn a_score_hides_its_records_of_its_day_and_reset_brings_them_back() {
    let server = server();
    let list = format!(
        "{{ flow {{ suspicious(date:\"{DAY}\") {{ srcIp }} threats {{ list(date:\"{DAY}\") {{ srcIp score }} }} }} }}"
    );
    let count = async || {
        let found = server.graphql(&list, json!({})).await;
        let flow = &found["data"]["flow"];
        (flow["suspicious"].as_array().unwrap().len(), flow["threats"]["list"].as_array().unwrap().len())
    };
    assert_eq!(count().await, (5, 0));
    let score = "mutation($input:[NetflowScoreInputType!]!) { flow { score(input:$input) { success } } }";
    let given = json!({"input": [{"date": DAY, "score": 1, "srcIp": "10.0.0.2", "dstPort": 23}, {"date": DAY, "score": 3, "dstIp": "10.9.9.9"}]});
    let done = server.graphql(score, given).await;
    assert_eq!(done["data"]["flow"]["score"], json!([{"success": true}, {"success": false}]), "{done}");
    assert_eq!(count().await, (3, 2));
    for (input, part) in [
        (json!([{"date": DAY, "score": 4, "srcIp": "10.0.0.2"}]), "1 high, 2 medium or 3 low"),
        (json!([{"date": DAY, "score": 1}]), "give srcIp"),
        (json!([{"date": DAY, "score": 1, "srcIp": "10.0.0.2' OR 1=1 --"}]), "no IP address"),
        (json!([{"date": "today", "score": 1, "srcIp": "10.0.0.2"}]), "YYYY-MM-DD"),
    ] {
        let refused = server.graphql(score, json!({"input": input})).await;
        assert!(refused["errors"].to_string().contains(part), "{refused}");
    }
    let reset = format!("mutation {{ flow {{ resetScoredConnections(date:\"{DAY}\") {{ success }} }} }}");
    assert_eq!(server.graphql(&reset, json!({})).await["data"]["flow"]["resetScoredConnections"]["success"], true);
    assert_eq!(count().await, (5, 0));
}

#[tokio::test]
async fn a_storyboard_is_told_commented_and_drawn_as_spot_s_notebooks_ask() {
    let server = server();
    let tell =
        "mutation($input: NetflowCreateStoryboardInputType!) { flow { createStoryboard(input: $input) { success } } }";
    let input = |title: &str| {
        json!({"input": {"date": DAY, "ip": "10.0.0.2", "title": title, "text": "It <b>calls</b> home.", "first": 20,
            "threatDetails": [{"firstSeen": "2016-07-08 03:15:02", "srcIp": "10.0.0.2", "connections": 2, "maxBytes": 500}]}})
    };
    let told = server.graphql(tell, input("First title")).await;
    assert_eq!(told["data"]["flow"]["createStoryboard"]["success"], true, "{told}");
    // Told again, with another title: another version, not another story.
    assert_eq!(server.graphql(tell, input("Second title")).await["errors"], Value::Null);
    for (kind, field, key) in [
        ("Dns", "dns", json!({"dnsQuery": "Evil.Example."})),
        ("Dns", "dns", json!({"clientIp": "10.0.0.1"})),
        ("Proxy", "proxy", json!({"uri": "http://drop.example/a"})),
    ] {
        let tell = format!(
            "mutation($input: {kind}CreateStoryboardInputType!) {{ {field} {{ createStoryboard(input: $input) {{ success }} }} }}"
        );
        let mut input = json!({"date": DAY, "title": "t", "text": "", "threatDetails": []});
        input.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        assert_eq!(server.graphql(&tell, json!({"input": input})).await["errors"], Value::Null);
    }
    let comments = "query($date: SpotDateType!) { flow { threats { comments(date: $date) { ip title text } } }
        dns { threats { comments(date: $date) { title ... on DnsQueryCommentType { dnsQuery } ... on DnsClientIpCommentType { clientIp } } } }
        proxy { threats { comments(date: $date) { uri title } } } }";
    let found = server.graphql(comments, json!({"date": DAY})).await;
    assert_eq!(found["errors"], Value::Null, "{found}");
    assert_eq!(
        found["data"]["flow"]["threats"]["comments"],
        json!([{"ip": "10.0.0.2", "title": "Second title", "text": "It <b>calls</b> home."}])
    );
    assert_eq!(
        found["data"]["dns"]["threats"]["comments"],
        json!([{"title": "t", "clientIp": "10.0.0.1"}, {"title": "t", "dnsQuery": "evil.example"}])
    );
    assert_eq!(found["data"]["proxy"]["threats"]["comments"], json!([{"uri": "http://drop.example/a", "title": "t"}]));
    let other_day = server.graphql(comments, json!({"date": "2016-07-10"})).await;
    assert_eq!(other_day["data"]["flow"]["threats"]["comments"], json!([]));
    // It is a story like any other, with both versions.
    let stories = server.get("/api/v1/stories").await.json();
    let flow: Vec<&Value> =
        stories["stories"].as_array().unwrap().iter().filter(|story| story["source"] == "flow").collect();
    assert_eq!((flow.len(), &flow[0]["version"], &flow[0]["author"]), (1, &json!(2), &json!("console")));

    let drawn = "query($date: SpotDateType!, $ip: SpotIpType!) { flow { threat {
        incidentProgression(date: $date, ip: $ip) { name impact children { name impact children { name impact children { name impact } } } }
        impactAnalysis(date: $date, ip: $ip) { name size children { name size children { name size children { name } } } } } } }";
    let drawn = server.graphql(drawn, json!({"date": DAY, "ip": "10.0.0.2"})).await;
    assert_eq!(drawn["errors"], Value::Null, "{drawn}");
    let threat = &drawn["data"]["flow"]["threat"];
    assert_eq!(
        threat["incidentProgression"],
        json!({"name": "10.0.0.2", "impact": 3, "children": [{"name": "Two way", "impact": 3, "children": [
            {"name": "Outside", "impact": 3, "children": [{"name": "198.51.100.2", "impact": 3}]}]}]})
    );
    assert_eq!(
        threat["impactAnalysis"],
        json!({"name": "10.0.0.2", "size": 3, "children": [{"name": "Two way", "size": 3, "children": [
            {"name": "Outside", "size": 3, "children": []}]}]})
    );
    let rest = "query($date: SpotDateType!) { flow { threat { geoLocalization(date: $date, ip: \"10.0.0.2\") { srcIps { geometry { coordinates } properties { ip location type } } dstIps { properties { ip } } } } }
        dns { threat { incidentProgression(date: $date, clientIp: \"10.0.0.1\") { total ... on DnsIncidentProgressionQueryType { dnsQuery } } } } }";
    let rest = server.graphql(rest, json!({"date": DAY})).await;
    assert_eq!(rest["errors"], Value::Null, "{rest}");
    // No geographic database was given.
    assert_eq!(rest["data"]["flow"]["threat"]["geoLocalization"], json!({"srcIps": [], "dstIps": []}));
    let names = rest["data"]["dns"]["threat"]["incidentProgression"].as_array().unwrap().clone();
    assert!(names.len() == 3 && names.iter().all(|row| row["total"] == 1 && row["dnsQuery"].is_string()), "{names:?}");
    for (input, part) in [
        (json!({"date": DAY, "ip": "10.0.0.2", "title": " ", "text": "", "threatDetails": []}), "title"),
        (json!({"date": DAY, "ip": "10.0.0.2", "title": "t", "text": "x".repeat(40_000), "threatDetails": []}), "text"),
        (
            json!({"date": DAY, "ip": "10.0.0.2", "title": "t", "text": "", "threatDetails": vec![json!({}); 1001]}),
            "1000",
        ),
        (json!({"date": DAY, "ip": "evil", "title": "t", "text": "", "threatDetails": []}), "no IP address"),
    ] {
        let refused = server.graphql(tell, json!({"input": input})).await;
        assert!(refused["errors"].to_string().contains(part), "{part}: {refused}");
    }
}

#[tokio::test]
async fn graphql_is_bounded_and_changes_nothing_for_viewers_or_by_get() {
    let server = Server::with_accounts().await;
    let vic = server.log_in("vic").await;
    let ask = async |query: &str| server.ask("POST", "/graphql", &vic, Some(json!({"query": query}))).await;
    let fine = ask("{ flow { ipDetails(date:\"2016-07-08\", ip:\"10.0.0.2\") { srcIp } } }").await.json();
    assert_eq!(fine["errors"], Value::Null);
    for query in [
        "mutation { flow { resetScoredConnections(date:\"2016-07-08\") { success } } }",
        "mutation { proxy { score(input:[{score:1, uri:\"x\"}]) { success } } }",
        "mutation { dns { createStoryboard(input:{clientIp:\"10.0.0.1\", title:\"t\", text:\"\", threatDetails:[]}) { success } } }",
    ] {
        let answer = ask(query).await.json();
        assert!(answer["errors"].to_string().contains("it needs the role analyst"), "{answer}");
        assert_eq!(answer["data"], Value::Null);
    }
    let aliases: String = (0..40).map(|n| format!("a{n}: ipDetails(ip:\"10.0.0.2\") {{ srcIp }} ")).collect();
    let nested: String = (0..30)
        .map(|n| format!("...on NetflowQueryType {{ b{n}: threat {{ details(ip:\"10.0.0.{n}\") {{ srcIp }} }} }} "))
        .collect();
    for (query, part) in [
        (format!("{{ flow {{ {aliases} }} }}"), "complex"),
        (format!("{{ flow {{ {nested} }} }}"), "complex"),
        ("query a { ...f } fragment f on SpotQueryType { ...f }".to_owned(), "f"),
        (format!("{}{}", "{ a ".repeat(200), "}".repeat(200)), ""),
        ("{ flow { suspicious(ip:\"x\") { srcIp } } }".to_owned(), "no IP address"),
    ] {
        let answer = ask(&query).await.json();
        assert!(
            !answer["errors"].as_array().unwrap().is_empty() && answer["errors"].to_string().contains(part),
            "{part}: {answer}"
        );
    }
    let long = ask(&format!("{{ flow {{ threats {{ list {{ srcIp }} }} }} }} #{}", "x".repeat(20_000))).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let batch =
        server.ask("POST", "/graphql", &vic, Some(json!([{"query": "{ flow { threats { list { srcIp } } } }"}]))).await;
    assert_eq!(batch.status, StatusCode::BAD_REQUEST);
    let get = server.ask("GET", "/graphql?query=mutation", &vic, None).await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    // What a form of another site could send without asking first.
    let form = request("POST", "/graphql")
        .header(header::COOKIE, &vic)
        .header(header::ORIGIN, format!("http://127.0.0.1:{}", super::PORT))
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(json!({"query": "{ flow { threats { list { srcIp } } } }"}).to_string()))
        .unwrap();
    assert_eq!(server.send(form).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_sql_console_reads_the_lake_and_nothing_else() {
    let server = server();
    let sql = async |sql: &str| server.post("/api/v1/sql", json!({"sql": sql})).await;
    let found = sql("SELECT src_ip, max(src_bytes) AS most, count(*) AS n FROM flow GROUP BY 1 ORDER BY 1 LIMIT 2")
        .await
        .json();
    assert_eq!(found["rows"], 2);
    assert_eq!(found["columns"][0], json!({"name": "src_ip", "data_type": "Utf8", "values": ["10.0.0.1", "10.0.0.2"]}));
    assert_eq!(found["columns"][1]["values"], json!(["9223372036854775807", 600]), "large numbers are exact");
    for (statement, part) in [
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "read"),
        ("COPY flow TO '/tmp/x.parquet'", "read"),
        ("INSERT INTO flow SELECT * FROM flow", ""),
        ("DROP TABLE flow", "read"),
        ("SET datafusion.execution.batch_size = 1", "read"),
        ("SELECT * FROM '/etc/passwd'", "table"),
        ("SELECT * FROM 'http://evil.example/x.parquet'", "table"),
        ("SELECT * FROM read_csv('/etc/passwd')", ""),
        ("SELECT * FROM read_parquet('/etc/passwd')", ""),
        ("SELECT 1; SELECT 2", "one statement"),
        ("EXPLAIN ANALYZE COPY flow TO '/tmp/x.parquet'", ""),
        ("SELECT * FROM secrets", "no table"),
        ("SELECT nonsense FROM flow", "no column"),
        ("", ""),
    ] {
        let answer = sql(statement).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{statement}: {}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains(part), "{statement}: {}", answer.text());
    }
    let many = server
        .post("/api/v1/sql", json!({"sql": "SELECT value FROM generate_series(1, 1000000000)", "max_rows": 10}))
        .await
        .json();
    assert_eq!((&many["rows"], &many["truncated"]), (&json!(10), &json!(true)));
    let schema = server.get("/api/v1/sql/schema").await.json();
    let flow = schema["tables"].as_array().unwrap().iter().find(|table| table["name"] == "flow").unwrap().clone();
    assert_eq!(flow["columns"][0]["name"], "record_id");
    assert!(flow["columns"].as_array().unwrap().len() > 40);
}

#[tokio::test]
async fn exports_are_whole_files_in_which_a_spreadsheet_finds_no_formula() {
    let server = server();
    let export = async |format: &str, sql: &str| {
        server.post(&format!("/api/v1/sql/export?format={format}"), json!({"sql": sql})).await
    };
    let evil =
        "SELECT '=cmd|'' /C calc''!A0' AS a, '+1' AS b, '@x' AS c, -5 AS d, '-' AS e, 'fine' AS \"=f\", '\t=1' AS g";
    let csv = export("csv", evil).await;
    assert_eq!(csv.header(header::CONTENT_DISPOSITION), "attachment; filename=\"answer.csv\"");
    assert_eq!(csv.text(), "a,b,c,d,e,'=f,g\n'=cmd|' /C calc'!A0,'+1,'@x,-5,'-,fine,'\t=1\n");
    let lines = export("jsonl", "SELECT src_ip FROM flow ORDER BY first_seen LIMIT 2").await;
    assert_eq!(lines.text(), "{\"src_ip\":\"10.0.0.1\"}\n{\"src_ip\":\"10.0.0.2\"}\n");
    let parquet = export("parquet", "SELECT * FROM flow").await;
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    assert_eq!(export("csv", "SELECT nonsense FROM flow").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(export("exe", "SELECT 1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn kept_queries_are_seen_by_all_and_dropped_by_their_owner() {
    let server = Server::with_accounts().await;
    let (ann, root) = (server.log_in("ann").await, server.log_in("root").await);
    let keep = json!({"name": "<script>alert(1)</script>", "sql": "SELECT 1"});
    assert_eq!(server.ask("POST", "/api/v1/sql/queries", &root, Some(keep)).await.status, StatusCode::OK);
    let list = server.ask("GET", "/api/v1/sql/queries", &ann, None).await;
    assert_eq!(list.header(header::CONTENT_TYPE), "application/json");
    let list = list.json();
    assert_eq!((&list["queries"][0]["owner"], list["queries"].as_array().unwrap().len()), (&json!("root"), 1));
    let path = format!("/api/v1/sql/queries/{}", list["queries"][0]["id"]);
    assert_eq!(server.ask("DELETE", &path, &ann, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.ask("DELETE", &path, &root, None).await.status, StatusCode::OK);
    for bad in [json!({"name": "", "sql": "x"}), json!({"name": "a\nb", "sql": "x"}), json!({"name": "a", "sql": " "})]
    {
        assert_eq!(server.ask("POST", "/api/v1/sql/queries", &ann, Some(bad)).await.status, StatusCode::BAD_REQUEST);
    }
}

/// Every parameter of every route takes what an attacker types, and answers with a problem or with data; never a 5xx.
#[tokio::test]
async fn no_parameter_becomes_sql_or_a_path() {
    let server = server();
    let document: Value = serde_json::from_str(&crate::api::openapi().unwrap()).unwrap();
    let payloads = [
        "' OR 1=1 --",
        "\"; DROP TABLE flow; --",
        "../../../../etc/passwd",
        "%2e%2e%2f",
        "<script>alert(1)</script>",
        "\u{202e}\u{0}",
        "$1",
        "-1",
    ];
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(get) = operations.get("get") else { continue };
        let parameters = get["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            for payload in payloads {
                let encoded: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let mut address = path.clone();
                let mut query = Vec::new();
                for other in &parameters {
                    let name = other["name"].as_str().unwrap();
                    let value = if other["name"] == parameter["name"] {
                        encoded.clone()
                    } else {
                        match name {
                            "date" => DAY.to_owned(),
                            "time" => format!("{DAY}T03:15:00Z"),
                            "source" => "flow".to_owned(),
                            "record_id" => "0".repeat(32),
                            _ if other["required"] == true => "x".to_owned(),
                            _ => continue,
                        }
                    };
                    if other["in"] == "path" {
                        address = address.replace(&format!("{{{name}}}"), &value);
                    } else {
                        query.push(format!("{name}={value}"));
                    }
                }
                let answer = server.get(&format!("{address}?{}", query.join("&"))).await;
                assert!(answer.status.as_u16() < 500, "{address}?{}: {}", query.join("&"), answer.text());
                assert!(!answer.text().contains("root:x:0"), "{address}");
                asked += 1;
            }
        }
    }
    assert!(asked > 200, "{asked}");
    let left = server.post("/api/v1/sql", json!({"sql": "SELECT count(*) AS n FROM flow"})).await.json();
    assert_eq!(left["columns"][0]["values"], json!([7]));
    for path in [
        "/assets/../../Cargo.toml",
        "/assets/%2e%2e/%2e%2e/Cargo.toml",
        "/assets//etc/passwd",
        "/assets/..%2f..%2fCargo.toml",
    ] {
        let answer = server.get(path).await;
        assert!(answer.status.is_client_error() && !answer.text().contains("[package]"), "{path}: {}", answer.status);
    }
}
