use super::*;

fn problems(text: &str) -> String {
    Config::parse(text).expect_err("should be refused").to_string()
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = Config::parse("").expect("valid");
    assert_eq!(config.flow.active_timeout, Span(Duration::from_secs(60)));
    assert_eq!(config.ui.listen.to_string(), "127.0.0.1:8889");
}

#[test]
fn what_show_prints_is_read_back_the_same() {
    let text = Config::default().to_toml().expect("serialises");
    let again = Config::parse(&text).expect("valid").to_toml().expect("serialises");
    assert_eq!(text, again);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert!(problems("[flow]\nactive_timout = \"60s\"").contains("did you mean `flow.active_timeout`?"));
    assert!(problems("[[watch]]\nname=\"a\"\ndir=\"/tmp\"\nsensr=\"x\"").contains("did you mean `watch[].sensor`?"));
    assert!(problems("[laek]\ndir=\"x\"").contains("did you mean `lake`?"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = problems("[ui]\nlisten=\"0.0.0.0:80\"\n[score]\nat=\"25:00\"\ntopics=1\n[flow]\nmax_flows=1");
    for part in ["ui.listen", "score.at", "score.topics", "flow.max_flows"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn wrong_types_say_where_and_what_was_expected() {
    let text = problems("[flow]\nactive_timeout = \"soon\"");
    assert!(text.contains("active_timeout") && text.contains("60s"), "{text}");
    assert!(problems("[flow]\nmax_flows = \"many\"").contains("max_flows"));
}

#[test]
fn a_capture_says_what_is_wrong_with_it() {
    let text = problems(
        "[[capture]]\nname=\"tap\"\nmode=\"magic\"\nfilter=[\"host 1\"]\n[[capture]]\nname=\"tap\"\ninterfaces=[\"a\"]\nsampel=2",
    );
    for part in [
        "capture[0].interfaces",
        "auto, xdp, xdp_generic or af_packet",
        "net CIDR",
        "stands twice",
        "`capture[].sample`",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let good = "[[capture]]\nname=\"tap\"\ninterfaces=[\"eth1\",\"eth2\"]\nring=\"256MiB\"\nfilter=[\"port 9100\"]";
    let config = Config::parse(good).expect("valid");
    assert_eq!((config.capture[0].ring, config.capture[0].shards), (ByteSize::mib(256), 1));
}

#[cfg(feature = "kafka")]
#[test]
fn topics_say_what_is_wrong_with_them() {
    let text = problems("[[kafka]]\nname=\"k\"\nbrokers=[\"kafka\"]\nsasl=\"plain\"\nbegin=\"now\"\nflsh=\"1s\"");
    for part in ["sasl and sasl_file", "kafka[0].topics", "earliest or latest", "`kafka[].flush`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let good = "[[kafka]]\nname=\"k\"\nbrokers=[\"a:9092\",\"b:9092\"]\ntopics=[\"pmacct\"]\nflush=\"1s\"";
    assert_eq!(Config::parse(good).expect("valid").kafka[0].options("s").expect("options").member.group, "spotter");
}

#[test]
fn several_inputs_have_unique_names() {
    assert!(problems("[[watch]]\nname=\"a\"\ndir=\"/x\"\n[[watch]]\nname=\"a\"\ndir=\"/y\"").contains("stands twice"));
}
