//! Against librdkafka's mock cluster.

use super::*;

const WAIT: Duration = Duration::from_secs(30);

fn member(topic: &str) -> Membership {
    // The mock cluster waits for members that left as for those that vanished.
    let session = Duration::from_secs(6);
    Membership { group: "g".to_owned(), topics: vec![topic.to_owned()], begin: Begin::Earliest, session }
}

/// What comes, until there are so many messages.
fn read(consumer: &mut KafkaConsumer, from: Option<i64>, count: usize) -> Vec<Message> {
    let (mut messages, end) = (Vec::new(), Instant::now() + WAIT);
    while messages.len() < count && Instant::now() < end {
        match consumer.next(Duration::from_millis(100)).unwrap() {
            Some(Consumed::Message(message)) => messages.push(message),
            Some(Consumed::Assigned(mut partitions)) => {
                partitions.iter_mut().for_each(|p| p.offset = from.or(p.offset));
                consumer.read_from(&partitions).unwrap();
            }
            Some(Consumed::Revoked) => consumer.give_back().unwrap(),
            Some(Consumed::Failed(_)) | None => {}
        }
    }
    messages
}

#[test]
fn what_is_produced_is_consumed_and_a_group_goes_on_where_it_committed() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create("flows", 1).unwrap();
    let options = cluster.options();
    let group = member("flows");
    let mut producer = KafkaProducer::open(&options, "flows", WAIT).unwrap();
    let batch: Vec<String> = (0..50).map(|n| format!("{{\"n\":{n}}}")).collect();
    let pairs = || batch.iter().map(|text| (b"key".as_slice(), text.as_bytes()));
    assert_eq!(producer.send(pairs()).unwrap(), Produced { sent: 50, refused: 0 });

    let mut consumer = KafkaConsumer::open(&options, &group).unwrap();
    let messages = read(&mut consumer, None, 50);
    let texts: Vec<&[u8]> = messages.iter().map(|m| m.payload.as_slice()).collect();
    assert_eq!(texts, batch.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert_eq!(messages.iter().map(|m| m.offset).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    let position = |offset| Partition { topic: "flows".to_owned(), number: 0, offset: Some(offset) };
    consumer.commit(&[position(20)]).unwrap();
    consumer.leave();

    let mut again = KafkaConsumer::open(&options, &group).unwrap();
    assert_eq!(read(&mut again, None, 1)[0].offset, 20);
    again.leave();
    let mut elsewhere = KafkaConsumer::open(&options, &group).unwrap();
    assert_eq!(read(&mut elsewhere, Some(45), 1)[0].offset, 45);
}

#[test]
fn a_batch_that_no_broker_takes_is_an_error_and_the_next_try_delivers_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create("t", 1).unwrap();
    let mut producer = KafkaProducer::open(&cluster.options(), "t", Duration::from_millis(700)).unwrap();
    cluster.set_up(1, false).unwrap();
    let batch = [(b"a".as_slice(), b"1".as_slice()), (b"b", b"2")];
    producer.send(batch.into_iter()).unwrap_err();
    cluster.set_up(1, true).unwrap();
    let mut sent = Produced::default();
    for _ in 0..20 {
        match producer.send(batch.into_iter()) {
            Ok(done) => {
                sent = done;
                break;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
    assert_eq!(sent, Produced { sent: 2, refused: 0 });
}

#[test]
fn a_message_larger_than_a_topic_takes_is_refused_and_the_others_go_on() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create("t", 1).unwrap();
    let mut producer = KafkaProducer::open(&cluster.options(), "t", WAIT).unwrap();
    let large = vec![b'x'; 2 << 20];
    let batch = [(b"a".as_slice(), b"1".as_slice()), (b"b", &large), (b"c", b"3")];
    assert_eq!(producer.send(batch.into_iter()).unwrap(), Produced { sent: 2, refused: 1 });
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let wrong = |options: KafkaOptions| options.check().unwrap_err().to_string();
    assert!(wrong(KafkaOptions::default()).contains("name a broker"));
    let at = |broker: &str| KafkaOptions { brokers: vec![broker.to_owned()], ..KafkaOptions::default() };
    for broker in ["kafka", "kafka:0", ":9092", "kafka:9092/x", "a:1,b:2"] {
        assert!(wrong(at(broker)).contains("kafka.example:9092"), "{broker}");
    }
    let ca = Some(PathBuf::from("/ca.pem"));
    assert!(wrong(KafkaOptions { tls_ca: ca.clone(), ..at("k:9092") }).contains("TLS"));
    let missing = KafkaOptions { tls: true, tls_ca: ca, ..at("k:9092") };
    let error = KafkaConsumer::open(&missing, &member("t")).unwrap_err();
    assert!(error.to_string().contains("/ca.pem"), "{error}");
    assert!("gssapi".parse::<Sasl>().unwrap_err().contains("scram-sha-256"));
    assert_eq!("SCRAM-SHA-512".parse::<Sasl>(), Ok(Sasl::ScramSha512));
}

#[test]
fn tls_and_sasl_settings_are_those_librdkafka_knows() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "user\npass word\n").unwrap();
    let options = KafkaOptions {
        brokers: vec!["127.0.0.1:9".to_owned()],
        tls: true,
        sasl: Some((Sasl::ScramSha512, secret.clone())),
        ..KafkaOptions::default()
    };
    // Made without an error: this librdkafka has TLS and SCRAM, and takes every property.
    KafkaProducer::open(&options, "t", WAIT).unwrap();
    std::fs::write(&secret, "user\n").unwrap();
    let error = KafkaProducer::open(&options, "t", WAIT).unwrap_err();
    assert!(error.to_string().contains("second"), "{error}");
}

/// It said "All broker connections are down", which is the last of what librdkafka says.
#[test]
fn why_a_broker_could_not_be_reached_was_not_said() {
    // A port that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = KafkaOptions { brokers: vec![format!("127.0.0.1:{port}")], ..KafkaOptions::default() };
    let mut producer = KafkaProducer::open(&options, "t", Duration::from_secs(2)).unwrap();
    let error = producer.send([(&b"k"[..], &b"v"[..])].into_iter()).unwrap_err().to_string();
    assert!(error.contains("Connection refused") && error.contains(&port.to_string()), "{error}");
}
