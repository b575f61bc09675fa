//! Lists, details, records and status over a lake whose every row is known.

use aggregator::lake::RetainOptions;
use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::lake::{DAY, HOSTILE, UNSCORED, id, known, write_run};
use super::{Answer, Server, request};

fn server() -> Server {
    let (dir, lake) = known();
    Server::over(dir, lake)
}

async fn ok(server: &Server, path: &str) -> Value {
    let answer: Answer = server.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

fn ids(list: &Value) -> Vec<u32> {
    list["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| u32::from_str_radix(row["record_id"].as_str().unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn days_say_what_is_there_and_what_is_scored() {
    let days = ok(&server(), "/api/v1/days").await["days"].clone();
    let of = |day: &Value, source: &str| (day[source]["rows"].clone(), day[source]["scored"].clone());
    assert_eq!(
        (days[0]["date"].as_str(), days[1]["date"].as_str(), days.as_array().unwrap().len()),
        (Some(UNSCORED), Some(DAY), 2)
    );
    assert_eq!(of(&days[0], "flow"), (json!(1), Value::Null));
    assert_eq!(of(&days[1], "flow"), (json!(6), json!(5)));
    assert_eq!(of(&days[1], "dns"), (json!(3), json!(1)));
    assert_eq!(of(&days[1], "proxy"), (json!(1), json!(1)));
    assert!(days[1]["flow"]["bytes"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_the_leaders_of_the_current_run_s_groups_in_spot_s_order() {
    let server = server();
    let list = ok(&server, "/api/v1/suspicious/flow").await;
    assert_eq!((list["date"].as_str(), list["state"].as_str()), (Some(DAY), Some("ready")));
    assert_eq!(ids(&list), [1, 2, 5]);
    assert_eq!((&list["records"], &list["matching"], &list["groups"]), (&json!(6), &json!(5), &json!(3)));
    assert_eq!(list["next_cursor"], Value::Null);
    assert_eq!(list["run"]["run_id"], "run-1");
    assert_eq!(list["run"]["rows"], 5);
    assert_eq!(list["run"]["card"]["topics"], 20);
    let row = &list["rows"][0];
    assert_eq!(row["first_seen"], format!("{DAY}T03:15:01.000001Z"));
    assert_eq!(row["src_bytes"], u64::MAX >> 1);
    assert_eq!(row["dst_bytes"], Value::Null);
    assert_eq!(row["standing"]["group_id"], "fedcba9876543210");
    assert_eq!(row["standing"]["surprise_bits"], Value::Null);
    assert_eq!((&row["why"]["host"], &row["why"]["word"]), (&json!("10.0.0.1"), &json!("333333_TCP_3_10_2")));
    let decided_by_dst = &list["rows"][1]["why"];
    assert_eq!(
        (&decided_by_dst["host"], &decided_by_dst["word"]),
        (&json!("198.51.100.2"), &json!("-1_23_TCP_3_10_2"))
    );
    let features: Vec<&str> =
        decided_by_dst["features"].as_array().unwrap().iter().map(|f| f["meaning"].as_str().unwrap()).collect();
    assert_eq!(
        features,
        ["owner of the low port", "port 23", "TCP", "03:00 to 03:59 UTC", "512 to 1023 bytes", "2 to 3 packets"]
    );
    assert_eq!(decided_by_dst["nearest_common"], "09:00 to 09:59 UTC");
    assert_eq!(decided_by_dst["usual"], json!([{"feature": "hour", "value": "09:00 to 09:59 UTC", "share": 0.75}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_opens_and_the_flat_list_has_every_record() {
    let server = server();
    let group = ok(&server, "/api/v1/suspicious/flow?group=0000000000000002").await;
    assert_eq!(ids(&group), [2, 4, 3]);
    assert_eq!(ids(&ok(&server, "/api/v1/suspicious/flow?groups=off").await), [1, 2, 4, 3, 5]);
    assert_eq!(ids(&ok(&server, "/api/v1/suspicious/flow?groups=off&sort=-src_bytes").await), [1, 3, 4, 2, 5]);
    assert_eq!(ids(&ok(&server, "/api/v1/suspicious/flow?groups=off&sort=first_seen").await), [1, 2, 3, 4, 5]);
    assert_eq!(ids(&ok(&server, "/api/v1/suspicious/flow?groups=off&sort=-rank").await), [5, 3, 4, 2, 1]);
    // Nulls (not observed) come last, whichever way.
    assert_eq!(ids(&ok(&server, "/api/v1/suspicious/flow?groups=off&sort=-dst_bytes").await), [1, 2, 4, 3, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_gap_or_overlap_even_when_a_new_run_comes() {
    let (dir, lake) = known();
    let server = Server::over(dir, lake.clone());
    let first = ok(&server, "/api/v1/suspicious/flow?groups=off&limit=2").await;
    assert_eq!(ids(&first), [1, 2]);
    write_run(&lake, "run-2", aggregator::lake::Source::Flow, DAY, &[]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ok(&server, &format!("/api/v1/suspicious/flow?groups=off&limit=2&date={DAY}&cursor={cursor}")).await;
    assert_eq!(ids(&second), [4, 3]);
    let cursor = second["next_cursor"].as_str().unwrap();
    let third = ok(&server, &format!("/api/v1/suspicious/flow?groups=off&limit=2&date={DAY}&cursor={cursor}")).await;
    assert_eq!(ids(&third), [5]);
    assert_eq!(third["next_cursor"], Value::Null);
    assert_eq!(
        ids(&ok(&server, "/api/v1/suspicious/flow?groups=off&limit=2").await),
        [] as [u32; 0],
        "the new run is empty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_addresses_networks_and_text() {
    let server = server();
    for (source, filter, expected) in [
        ("flow", "10.0.0.2", vec![2, 4, 3]),
        ("flow", "2001:DB8::0005", vec![5]),
        ("flow", "198.51.100.0/24", vec![1, 2, 4, 3]),
        ("flow", "2001:db8::/32", vec![5]),
        ("flow", "10.0.0.2/31", vec![2, 4, 3]),
        ("flow", "10.0.0.3", vec![]),
        ("dns", "EVIL", vec![101]),
        ("dns", "\"<img\"", vec![101]),
        ("dns", "10.0.0.53", vec![101]),
        ("dns", "%", vec![]),
        ("proxy", "\"b=1%20' OR 1=1\"", vec![201]),
        ("proxy", "\"' OR 1=1 --\"", vec![]),
        ("proxy", "CURL", vec![201]),
    ] {
        let query: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let list = ok(&server, &format!("/api/v1/suspicious/{source}?groups=off&filter={query}")).await;
        assert_eq!(ids(&list), expected, "{source} {filter}");
        assert_eq!(list["matching"], expected.len(), "{source} {filter}");
    }
    // A group is led by its best record that passes.
    let list = ok(&server, "/api/v1/suspicious/flow?filter=700").await;
    assert_eq!(ids(&list), [] as [u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_and_proxy_rows_carry_what_the_wire_said_unchanged() {
    let server = server();
    let dns = ok(&server, "/api/v1/suspicious/dns").await;
    let row = &dns["rows"][0];
    assert_eq!((&row["qname_wire"], &row["rcode"], &row["qtype"]), (&json!(HOSTILE), &json!(3), &json!(16)));
    assert_eq!(row["why"]["features"].as_array().unwrap().len(), 8);
    let proxy = ok(&server, "/api/v1/suspicious/proxy").await;
    let row = &proxy["rows"][0];
    assert_eq!(
        (&row["category"], &row["status"], &row["request_bytes"]),
        (&json!("unknown"), &json!(200), &json!(90_000_000))
    );
    assert_eq!(row["why"]["features"][4]["meaning"], "unknown_content_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_without_scores_or_records_say_so() {
    let server = server();
    let unscored = ok(&server, &format!("/api/v1/suspicious/flow?date={UNSCORED}")).await;
    assert_eq!((&unscored["state"], &unscored["records"]), (&json!("not_scored"), &json!(1)));
    let nothing = ok(&server, "/api/v1/suspicious/flow?date=1999-01-01").await;
    assert_eq!((&nothing["state"], &nothing["date"]), (&json!("no_data"), &json!("1999-01-01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_scored_record_is_found_wherever_it_ranks() {
    let server = server();
    let row = ok(&server, &format!("/api/v1/suspicious/flow/{}?date={DAY}", id(3))).await;
    assert_eq!((&row["standing"]["rank"], &row["src_ip"]), (&json!(4), &json!("198.51.100.2")));
    for (record, date) in [(id(6), DAY), (id(3), UNSCORED)] {
        let answer = server.get(&format!("/api/v1/suspicious/flow/{record}?date={date}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flow_details_are_both_directions_in_the_same_minute() {
    let server = server();
    let time = format!("{DAY}T03:15:30Z");
    for (src, dst) in [("10.0.0.2", "198.51.100.2"), ("198.51.100.2", "10.0.0.2")] {
        let details = ok(&server, &format!("/api/v1/details/flow?src={src}&dst={dst}&time={time}")).await;
        assert_eq!(ids(&details), [2, 3]);
        assert_eq!(
            (&details["from"], &details["to"]),
            (&json!(format!("{DAY}T03:15:00.000000Z")), &json!(format!("{DAY}T03:16:00.000000Z")))
        );
        assert_eq!((&details["more"], &details["rows"][0]["src_tcp_flags"]), (&json!(false), &json!(0x1b)));
    }
    let one = ok(&server, &format!("/api/v1/details/flow?src=10.0.0.2&dst=198.51.100.2&time={time}&limit=1")).await;
    assert_eq!((ids(&one), &one["more"]), (vec![2], &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_details_are_the_name_and_those_below_it_in_the_same_hour() {
    let server = server();
    let details = ok(&server, &format!("/api/v1/details/dns?name=Evil.example&time={DAY}T03:30:00Z")).await;
    // The hostile name ends in `.\u{202e}evil.example`: another label, so not below evil.example.
    assert_eq!(ids(&details), [102]);
    assert_eq!(details["rows"][0]["qname"], "a.EVIL.example");
    assert_eq!(details["rows"][0]["answers"], json!(["a\\000b"]));
    let later = ok(&server, &format!("/api/v1/details/dns?name=evil.example&time={DAY}T04:30:00Z")).await;
    assert_eq!(ids(&later), [103]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_details_are_this_client_and_address_in_the_same_hour() {
    let server = server();
    let uri = "http%3A%2F%2Fdrop.example%2Fa%3Fb%3D1%2520%27%20OR%201%3D1";
    let details = ok(&server, &format!("/api/v1/details/proxy?uri={uri}&client=10.0.0.1&time={DAY}T05:00:00Z")).await;
    assert_eq!(ids(&details), [201]);
    let other = ok(&server, &format!("/api/v1/details/proxy?uri={uri}&client=10.0.0.2&time={DAY}T05:00:00Z")).await;
    assert_eq!(ids(&other), [] as [u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_every_column_of_its_table() {
    let server = server();
    let record = ok(&server, &format!("/api/v1/record/flow/{}?date={DAY}", id(6))).await;
    let columns = record["columns"].as_array().unwrap();
    let value = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap()["value"].clone();
    for field in aggregator::lake::schema::flow().fields() {
        assert!(columns.iter().any(|column| column["name"] == *field.name()), "{}", field.name());
    }
    assert_eq!(value("record_id"), id(6));
    assert_eq!(value("first_seen"), format!("{DAY}T23:59:59.999999Z"));
    assert_eq!((value("dst_packets"), value("dst_port")), (Value::Null, json!("443")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_counts_records_by_the_minute_of_the_day() {
    let server = server();
    let ingest = ok(&server, &format!("/api/v1/ingest/flow?date={DAY}")).await;
    let per_minute = ingest["per_minute"].as_array().unwrap();
    assert_eq!((per_minute.len(), &ingest["total"]), (1440, &json!(6)));
    assert_eq!(
        (&per_minute[195], &per_minute[196], &per_minute[720], &per_minute[1439]),
        (&json!(3), &json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_the_books_as_equations_and_whether_they_close() {
    let server = server();
    let status = ok(&server, "/api/v1/status").await;
    let flow = &status["tables"][0];
    assert_eq!(
        (&flow["table"], &flow["rows"], &flow["first"]),
        (&json!("flow"), &json!(7), &json!(format!("{DAY}T03:15:01.000001Z")))
    );
    assert_eq!(status["runs"].as_array().unwrap().len(), 4);
    let books = status["books"].as_array().unwrap();
    let named: Vec<&str> = books.iter().map(|book| book["source"].as_str().unwrap()).collect();
    assert_eq!(named, ["bad.pcap", "good.pcap"], "latest first");
    let (bad, good) = (&books[0], &books[1]);
    assert_eq!((&good["closed"], &good["lost"]), (&json!(true), &json!(0)));
    // The two queues are added up.
    assert_eq!(good["equations"][0]["total"], json!({"name": "packets.seen", "value": 101}));
    assert_eq!(
        good["equations"][0]["terms"],
        json!([{"name": "received", "value": 90}, {"name": "not_ip", "value": 11}])
    );
    assert_eq!(
        (&bad["closed"], &bad["lost"], &bad["equations"][0]["difference"]),
        (&json!(false), &json!(4), &json!("2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_show_each_exporter_s_lag_and_what_its_numbers_miss() {
    use aggregator::record::Micros;
    use aggregator::state::exporters::Exporter;
    let server = server();
    let now = aggregator::state::now();
    let note = |exporter: &str, ago: i64| Exporter {
        collector: "collect".to_owned(),
        exporter: exporter.to_owned(),
        sensor: "edge".to_owned(),
        last: Micros(now.0 - ago * 1_000_000),
        messages: 9,
        lost: 4,
        flows: 30,
        ..Exporter::default()
    };
    let timed = Exporter {
        recent_flows: 4,
        recent_lag_ms: 6_000,
        recent_longest_ms: 2_500,
        ahead: 2,
        ..note("ipfix 192.0.2.1 7", 60)
    };
    server.lake().state().note_exporters(&[timed, note("sflow 2001:db8::\"1 0", 3_600)], now).unwrap();
    let status = ok(&server, "/api/v1/status").await;
    let [one, other] = [0, 1].map(|at| &status["exporters"][at]);
    assert_eq!(
        [&one["protocol"], &one["address"], &one["domain"], &one["lost"], &one["lost_unit"], &one["clock_ahead"]],
        [&json!("ipfix"), &json!("192.0.2.1"), &json!("7"), &json!(4), &json!("records"), &json!(2)]
    );
    assert_eq!((&one["lag_seconds"], &one["lag_longest_seconds"]), (&json!(1.5), &json!(2.5)));
    let age = one["age_seconds"].as_f64().unwrap();
    assert!((60.0..600.0).contains(&age), "{age}");
    assert_eq!((&other["lag_seconds"], &other["lost_unit"]), (&Value::Null, &json!("datagrams")));
    let text = crate::metrics::render(&crate::live::Hub::default(), Some(server.lake())).unwrap();
    let labels = "collector=\"collect\",exporter=\"192.0.2.1\",protocol=\"ipfix\",domain=\"7\"";
    for line in [
        format!("spotter_exporter_lost_total{{{labels},unit=\"records\"}} 4\n"),
        format!("spotter_exporter_lag_seconds{{{labels}}} 1.5\n"),
        format!("spotter_exporter_flows_ahead_total{{{labels}}} 2\n"),
    ] {
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    // A name with a quote ends no label; who says no time has no lag.
    assert!(text.contains("exporter=\"2001:db8::\\\"1\""), "{text}");
    assert_eq!(text.matches("spotter_exporter_lag_seconds{").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_is_kept_what_goes_next_and_how_late_records_come() {
    let server = server();
    let keeping = ok(&server, "/api/v1/status").await["keeping"].clone();
    assert_eq!(keeping["retention"], Value::Null, "nobody keeps this lake");
    // Of the hour of 03 there are four flows and two questions; scores go with the last hour of their day.
    let oldest = &keeping["oldest"];
    assert_eq!((&oldest["from"], &oldest["rows"]), (&json!(format!("{DAY}T03:00:00.000000Z")), &json!(6)));
    let (total, free) = (keeping["disk_total"].as_u64().unwrap(), keeping["disk_free"].as_u64().unwrap());
    assert!(free > 0 && free < total, "{keeping}");
    // The day before the latest.
    let bytes = keeping["bytes_of_a_day"].as_u64().unwrap();
    assert!(bytes > 0 && bytes < keeping["bytes"].as_u64().unwrap(), "{keeping}");

    let hour = std::time::Duration::from_secs(3600);
    let now = aggregator::state::now();
    let options = |max_bytes| RetainOptions { max_age: Some(24 * hour), max_bytes, now };
    server.lake().note_retention(&options(Some(0))).unwrap();
    let status = ok(&server, "/api/v1/status").await;
    let keeping = &status["keeping"];
    let retention = &keeping["retention"];
    assert_eq!(
        (&retention["max_age_seconds"], &retention["max_bytes"], &retention["next"]),
        (&json!(86_400), &json!(0), &json!("2016-07-09T04:00:00.000000Z")),
        "the hour ended at 04:00, and stays a day"
    );
    assert_eq!(keeping["days_left"], 0.0, "the lake is larger than it may be");

    let arrivals = status["arrivals"].as_array().unwrap();
    let named: Vec<(&str, &str, u64)> = arrivals
        .iter()
        .map(|one| (one["sensor"].as_str().unwrap(), one["source"].as_str().unwrap(), one["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(named, [("tap", "dns", 3), ("tap", "flow", 7), ("tap", "proxy", 1)]);
    assert_eq!(arrivals[1]["last"], format!("{UNSCORED}T01:00:00.000000Z"));
    // Written now, and some years old: both say the same.
    let (age, lag) = (arrivals[1]["age_seconds"].as_f64().unwrap(), arrivals[1]["lag_seconds"].as_f64().unwrap());
    assert!(lag > 3e8 && (0.0..600.0).contains(&(age - lag)), "{age} {lag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_when_asked() {
    let server = server();
    let request = request("GET", "/api/v1/status")
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
        .header(header::ACCEPT_ENCODING, "gzip");
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header(header::CONTENT_ENCODING), "gzip");
    assert_eq!(answer.body.get(..2), Some(&[0x1f, 0x8b][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_browser_has_is_not_sent_again() {
    let server = server();
    let path = format!("/api/v1/suspicious/flow?date={DAY}");
    let first = server.get(&path).await;
    let tag = first.header(header::ETAG).to_owned();
    assert!(tag.starts_with("W/\"") && tag.len() == 68, "{tag}");
    assert_eq!(first.header(header::CACHE_CONTROL), "private, no-cache");
    let ask = async |path: &str, tag: &str| {
        let request = request("GET", path).header(header::AUTHORIZATION, format!("Bearer {}", server.token));
        server.send(request.header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap()).await
    };
    let again = ask(&path, &tag).await;
    assert_eq!(
        (again.status, again.body.len(), again.header(header::ETAG)),
        (StatusCode::NOT_MODIFIED, 0, tag.as_str())
    );
    assert_eq!(ask(&path, "\"other\"").await.body, first.body);
    assert_eq!(ask(&format!("{path}&limit=1"), &tag).await.status, StatusCode::OK);
    // A failure has no tag, and nothing else is kept.
    assert_eq!(ask("/api/v1/suspicious/flow?limit=0", "*").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/api/v1/days").await.header(header::CACHE_CONTROL), "no-store");
    let stranger =
        server.send(request("GET", &path).header(header::IF_NONE_MATCH, &tag).body(Body::empty()).unwrap()).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
}
