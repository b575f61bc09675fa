//! A word taken apart again, for explanations.
//!
//! The scores keep words as text. What their components mean is known by [`analytics::words`]; here the text is read
//! back into a code, and only believed if the code renders to the same text.

use analytics::words::dns::DnsScheme;
use analytics::words::flow::{FlowScheme, ProtocolName};
use analytics::words::proxy::{Lexicon, ProxyScheme};
use analytics::words::rich::{Kind, Told, take_apart};
use analytics::words::{Scheme, WordCode};

use super::types::{Feature, Source};

/// A value that may be "none": −1 in the text, 0 in the code.
fn optional(text: &str) -> Option<u32> {
    if text == "-1" { Some(0) } else { text.parse::<u32>().ok()?.checked_add(1) }
}

fn features(scheme: &impl Scheme, code: WordCode, word: &str, texts: &[&str]) -> Option<Vec<Feature>> {
    if scheme.render(code) != word {
        return None;
    }
    let parts = scheme.components().iter().zip(texts).enumerate();
    Some(
        parts
            .map(|(at, (component, text))| Feature {
                name: component.name.to_owned(),
                value: (*text).to_owned(),
                meaning: scheme.describe(at, code.get(at)),
            })
            .collect(),
    )
}

/// Words of the scheme `rich` say their features' keys; `None` for others.
fn rich(kind: Kind, word: &str) -> Option<Vec<Feature>> {
    let told = take_apart(kind, word);
    let feature = |told: Told| Feature { name: told.name.to_owned(), value: told.value, meaning: told.meaning };
    (!told.is_empty()).then(|| told.into_iter().map(feature).collect())
}

/// A word without its record: what it says of protocol and method is believed.
pub(super) fn of_source(source: Source, word: &str) -> Vec<Feature> {
    match source {
        Source::Flow => {
            let name = word.rsplitn(4, '_').nth(3).and_then(|rest| rest.rsplit_once('_'));
            let number = |(_, name): (&str, &str)| (0..=u8::MAX).find(|proto| ProtocolName(*proto).to_string() == name);
            flow(word, name.and_then(number).unwrap_or_default())
        }
        Source::Dns => dns(word),
        // A method with an underscore, which no standard has, is not found: the word stays as it is.
        Source::Proxy => proxy(word, word.split('_').nth(2).unwrap_or_default()),
    }
}

/// `[-1_]P_proto_hour_bytes_packets`. `proto` is the record's number.
pub(super) fn flow(word: &str, proto: u8) -> Vec<Feature> {
    if let Some(features) = rich(Kind::Flow, word) {
        return features;
    }
    let read = || {
        let (side, base) = word.strip_prefix("-1_").map_or((0, word), |rest| (1, rest));
        let mut parts = base.rsplitn(4, '_');
        let (packets, bytes, hour) = (parts.next()?, parts.next()?, parts.next()?);
        let (port, name) = parts.next()?.split_once('_')?;
        let number = |text: &str| text.parse::<u32>().ok();
        let code = WordCode::of([side, number(port)?, proto.into(), number(hour)?, number(bytes)?, number(packets)?]);
        let role = if side == 1 { "-1" } else { "–" };
        features(&FlowScheme, code, word, &[role, port, name, hour, bytes, packets])
    };
    read().unwrap_or_default()
}

/// `class_length_hour_subdomain length_entropy_labels_type_rcode`
pub(super) fn dns(word: &str) -> Vec<Feature> {
    if let Some(features) = rich(Kind::Dns, word) {
        return features;
    }
    let read = || {
        let texts: Vec<&str> = word.split('_').collect();
        let &[class, length, hour, sub, entropy, labels, qtype, rcode] = texts.as_slice() else { return None };
        let number = |text: &str| text.parse::<u32>().ok();
        let code = WordCode::of([
            number(class)?,
            number(length)?,
            number(hour)?,
            number(sub)?,
            number(entropy)?,
            number(labels)?,
            optional(qtype)?,
            optional(rcode)?,
        ]);
        features(&DnsScheme, code, word, &texts)
    };
    read().unwrap_or_default()
}

/// `class_hour_method_entropy_content type_agent count_length_status`. Method and content type come from the wire and may
/// hold an underscore; `method` is the record's.
pub(super) fn proxy(word: &str, method: &str) -> Vec<Feature> {
    if let Some(features) = rich(Kind::Proxy, word) {
        return features;
    }
    const NO_STATUS: &str = "unknown_response_code";
    let read = || {
        let (class, rest) = word.split_once('_')?;
        let (hour, rest) = rest.split_once('_')?;
        let rest = rest.strip_prefix(method)?.strip_prefix('_')?;
        let (entropy, rest) = rest.split_once('_')?;
        let (rest, status) = match rest.strip_suffix(NO_STATUS) {
            Some(rest) => (rest.strip_suffix('_')?, NO_STATUS),
            None => rest.rsplit_once('_')?,
        };
        let (rest, length) = rest.rsplit_once('_')?;
        let (content, agents) = rest.rsplit_once('_')?;
        let number = |text: &str| text.parse::<u32>().ok();
        let mut lexicon = Lexicon::default();
        let (method_at, content_at) = (lexicon.place(method), lexicon.place(content));
        let status_code = if status == NO_STATUS { 0 } else { number(status)?.checked_add(1)? };
        let code = WordCode::of([
            number(class)?,
            number(hour)?,
            method_at,
            number(entropy)?,
            content_at,
            number(agents)?,
            number(length)?,
            status_code,
        ]);
        let texts = [class, hour, method, entropy, content, agents, length, status];
        features(&ProxyScheme { lexicon }, code, word, &texts)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings(features: &[Feature]) -> Vec<(&str, &str)> {
        features.iter().map(|feature| (feature.name.as_str(), feature.meaning.as_str())).collect()
    }

    /// The words are those of Apache Spot's unit tests.
    #[test]
    fn spot_words_are_taken_apart() {
        let read = flow("-1_23_UDP_12_8_2", 17);
        assert_eq!(
            meanings(&read),
            [
                ("role", "owner of the low port"),
                ("port", "port 23"),
                ("protocol", "UDP"),
                ("hour", "12:00 to 12:59 UTC"),
                ("bytes", "128 to 255 bytes"),
                ("packets", "2 to 3 packets")
            ]
        );
        assert_eq!(flow("333333_UDP_12_8_2", 17).len(), 6);
        let read = dns("2_7_11_2_10_1_1_0");
        assert_eq!(read.len(), 8);
        assert_eq!((read[1].name.as_str(), read[1].meaning.as_str()), ("frame length", "128 to 255 bytes"));
        let read = proxy("1_10_PUT_9_binary_3_2_206", "PUT");
        assert_eq!((read[2].meaning.as_str(), read[4].meaning.as_str()), ("PUT", "binary"));
        assert_eq!(read[7].meaning, "status 206");
    }

    #[test]
    fn words_without_a_record_are_taken_apart_too() {
        for (source, word, features) in [
            (Source::Flow, "-1_23_UDP_12_8_2", flow("-1_23_UDP_12_8_2", 17)),
            (Source::Flow, "0_254_3_1_1", flow("0_254_3_1_1", 254)),
            (Source::Dns, "2_7_11_2_10_1_1_0", dns("2_7_11_2_10_1_1_0")),
            (Source::Proxy, "1_10_PUT_9_binary_3_2_206", proxy("1_10_PUT_9_binary_3_2_206", "PUT")),
            (Source::Flow, "role=client port=443", flow("role=client port=443", 6)),
        ] {
            assert!(features.len() >= 2, "{word}");
            assert_eq!(meanings(&of_source(source, word)), meanings(&features), "{word}");
        }
        for word in ["", "_", "(other)", "a_b_c_d_e_f_g_h_i", "é_é_é_é_é", "1_2_3_4_5"] {
            for source in Source::ALL {
                assert_eq!(of_source(source, word).len(), 0, "{word}");
            }
        }
    }

    #[test]
    fn underscores_from_the_wire_do_not_move_the_parts() {
        let read = proxy("0_3_X_Y_7_unknown_content_type_0_5_unknown_response_code", "X_Y");
        assert_eq!(read[2].value, "X_Y");
        assert_eq!(read[4].value, "unknown_content_type");
        assert_eq!(read[7].meaning, "no status seen");
    }

    #[test]
    fn what_is_no_word_of_the_scheme_has_no_features() {
        for word in
            ["", "_", "x", "1_2_3_4", "99999999999_UDP_1_1_1", "01_UDP_12_8_2", "-1_-1_23_UDP_1_1_1", "é_é_é_é_é"]
        {
            assert_eq!(flow(word, 17).len(), 0, "{word}");
            assert_eq!(dns(word).len(), 0, "{word}");
            assert_eq!(proxy(word, "GET").len(), 0, "{word}");
        }
        // The protocol of the word must be the record's.
        assert_eq!(flow("23_TCP_12_8_2", 17).len(), 0);
    }
}
