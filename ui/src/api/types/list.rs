//! Suspicious records: where they stand, and why.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Known, Said, Show, Source};

/// Why a list is as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListState {
    /// There are scores.
    Ready,
    /// There are records, but no scores.
    NotScored,
    /// There are no records.
    NoData,
}

/// A scoring run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Run {
    /// Its identifier.
    pub run_id: String,
    /// Which records.
    pub source: Source,
    /// Which day.
    pub date: String,
    /// When it ended.
    pub scored_at: String,
    /// Records it keeps scores of.
    pub rows: u64,
    /// Word scheme: `spot` or `rich`.
    pub words: String,
    /// Name of the model.
    pub model: String,
    /// Is it the one that is shown?
    pub current: bool,
    /// The model card: everything that made the scores, as JSON.
    #[schema(value_type = Option<Object>)]
    pub card: Option<serde_json::Value>,
}

/// Where a record stands among the records of its day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    /// Place of its group, 1 is the most suspicious: by all evidence, or by Spot's score where that ranks.
    pub rank: u32,
    /// Place by Spot's score among the records kept.
    pub spot_rank: u32,
    /// Records with the same host, word and deciding reason share it.
    pub group_id: String,
    /// How many they are.
    pub group_size: u32,
    /// P(word | host).
    pub score: f64,
    /// −log2 of the score; `null` where the score is 0.
    pub surprise_bits: Option<f64>,
    /// Share of the records that were less surprising.
    pub percentile: f64,
    /// From the evidence behind the host: 0 none, 1 plenty.
    pub confidence: f64,
    /// Hosts that have the word at all.
    pub word_hosts: u64,
    /// Word scheme.
    pub words: String,
    /// Of the seven scored days before, those whose list had the same group: 0 is new; `null` where none was scored.
    pub days_before: Option<u8>,
}

/// Why a record stands where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Why {
    /// Whose behaviour was judged: an address.
    pub host: String,
    /// `src` or `dst`: the side that decided; `null` where there is only one.
    pub side: Option<String>,
    /// The word that decided.
    pub word: String,
    /// The other side's word.
    pub other_word: Option<String>,
    /// The deciding word, taken apart.
    pub features: Vec<Feature>,
    /// Name of the feature that decided.
    pub feature: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// P(word | host) of the deciding side.
    pub deciding_score: Option<f64>,
    /// The same of the other side, where there is one. `null` for scores from before this was kept.
    pub other_score: Option<f64>,
    /// Share of this host's records that have the word.
    pub host_share: Option<f64>,
    /// Share of all hosts' records that have the word.
    pub all_share: Option<f64>,
    /// The nearest value that is common.
    pub nearest_common: Option<String>,
    /// Detectors and scores that fired, the strongest first, which decided; empty where Spot's score ranks.
    pub fired: Vec<Fired>,
    /// What the host usually does: of each feature its most common value. Empty for scores from before this was kept.
    pub usual: Vec<Usual>,
}

/// A feature as a host usually has it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Usual {
    /// Name of the feature.
    pub feature: String,
    /// Its most common value.
    pub value: String,
    /// Share of the host's records with it.
    pub share: f64,
}

/// A detector or a score that fired.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Fired {
    /// Its name.
    pub name: String,
    /// −log10 of how many cases as strong a day like this has by chance: 3 = one in a thousand days.
    pub strength: f64,
    /// The evidence in words.
    pub evidence: String,
}

/// One part of a word.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feature {
    /// What it measures.
    pub name: String,
    /// What stands in the word.
    pub value: String,
    /// What the value means: a range with its unit, a name.
    pub meaning: String,
}

/// A flow record that was scored.
#[derive(Debug, Serialize, ToSchema)]
pub struct FlowRow {
    /// Identity.
    pub record_id: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why.
    pub why: Why,
    /// What verdicts and rules say of it.
    pub said: Said,
    /// What files of the context know of its values; the others are left out.
    pub known: Vec<Known>,
    /// First packet.
    pub first_seen: String,
    /// Last packet.
    pub last_seen: String,
    /// Sensor.
    pub sensor: String,
    /// Initiator.
    pub src_ip: String,
    /// Responder.
    pub dst_ip: String,
    /// Initiator's port.
    pub src_port: u16,
    /// Responder's port; ICMP: type·256+code.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// Initiator to responder.
    pub src_packets: u64,
    /// Initiator to responder.
    pub src_bytes: u64,
    /// Responder to initiator.
    pub dst_packets: Option<u64>,
    /// Responder to initiator.
    pub dst_bytes: Option<u64>,
    /// Zeek's conn_state.
    pub conn_state: Option<String>,
    /// Protocol recognised.
    pub service: Option<String>,
    /// Is the initiator one of ours?
    pub src_internal: Option<bool>,
    /// Is the responder one of ours?
    pub dst_internal: Option<bool>,
    /// Community ID v1.
    pub community_id: String,
}

/// A DNS question that was scored.
#[derive(Debug, Serialize, ToSchema)]
pub struct DnsRow {
    /// Identity.
    pub record_id: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why.
    pub why: Why,
    /// What verdicts and rules say of it.
    pub said: Said,
    /// What files of the context know of its values; the others are left out.
    pub known: Vec<Known>,
    /// Query, or answer if alone.
    pub first_seen: String,
    /// Sensor.
    pub sensor: String,
    /// Who asked.
    pub client_ip: String,
    /// Who was asked.
    pub server_ip: String,
    /// udp, tcp, mdns, llmnr.
    pub transport: String,
    /// Name asked for.
    pub qname: String,
    /// The same as it was sent.
    pub qname_wire: String,
    /// Type.
    pub qtype: u16,
    /// Class.
    pub qclass: u16,
    /// Response code; `null` where no answer was seen.
    pub rcode: Option<u16>,
    /// Bytes of the answer's frame.
    pub response_frame_len: Option<u32>,
    /// Community ID v1.
    pub community_id: String,
}

/// A request that was scored.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProxyRow {
    /// Identity.
    pub record_id: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why.
    pub why: Why,
    /// What verdicts and rules say of it.
    pub said: Said,
    /// What files of the context know of its values; the others are left out.
    pub known: Vec<Known>,
    /// When it was made.
    pub first_seen: String,
    /// Sensor.
    pub sensor: String,
    /// Who asked.
    pub client_ip: String,
    /// Who answered.
    pub server_ip: Option<String>,
    /// http, https, connect, tls.
    pub scheme: String,
    /// Method.
    pub method: String,
    /// Host asked for.
    pub host: String,
    /// The whole address.
    pub full_uri: String,
    /// User agent.
    pub user_agent: Option<String>,
    /// Referer.
    pub referer: Option<String>,
    /// Content type of the answer.
    pub content_type: Option<String>,
    /// Web category, where a proxy gave one.
    pub category: Option<String>,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Bytes of the request.
    pub request_bytes: Option<u64>,
    /// Bytes of the answer.
    pub response_bytes: Option<u64>,
}

macro_rules! lists {
    ($($(#[$doc:meta])* $list:ident of $row:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub struct $list {
            /// The day.
            pub date: String,
            /// Are there scores?
            pub state: ListState,
            /// The run they come from.
            pub run: Option<Run>,
            /// Records of this day in the lake.
            pub records: u64,
            /// Records of the run that pass the filter.
            pub matching: u64,
            /// Groups they form.
            pub groups: u64,
            /// Rows of the run that `show` leaves out.
            pub left_out: u64,
            /// One row per record, or the leader of each group.
            pub rows: Vec<$row>,
            /// Give it back as `cursor` for what follows; `null` at the end.
            pub next_cursor: Option<String>,
        }
    )*};
}

lists! {
    /// Suspicious flow records.
    FlowList of FlowRow;
    /// Suspicious DNS questions.
    DnsList of DnsRow;
    /// Suspicious requests.
    ProxyList of ProxyRow;
}

/// Which part of the list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The day, `YYYY-MM-DD`; the latest day with scores, else with records, if left out.
    pub date: Option<String>,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// A query; `/api/v1/query/{source}` says what is wrong with one. An address, a network or a text alone is looked for
    /// in every field.
    pub filter: Option<String>,
    /// `on` (default): the leader of each group; `off`: every record.
    pub groups: Option<Switch>,
    /// Only the records of this group, every one of them.
    pub group: Option<String>,
    /// Which rows by what was said of them; `open` if left out. A `group` is shown whole.
    pub show: Option<Show>,
    /// A column to sort by, with `-` before it for descending; `rank` if left out.
    pub sort: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they say what they are")]
pub enum Switch {
    On,
    Off,
}
