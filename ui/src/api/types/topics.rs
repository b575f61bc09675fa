//! The topics behind a score: what the hosts of a record are made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::Feature;

/// The topics of a record's hosts, in the model that scored it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordTopics {
    /// The model.
    pub model: String,
    /// The day it was trained on: the record's, or an earlier one where the day is not over yet.
    pub date: String,
    /// Topics it has.
    pub topics: u32,
    /// One for each host that was judged: source and destination of a flow, else the client.
    pub hosts: Vec<HostTopics>,
}

/// What a host is made of.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostTopics {
    /// `src` or `dst`; `null` where there is only one.
    pub side: Option<String>,
    /// The address.
    pub host: String,
    /// Its word of the record.
    pub word: String,
    /// The topics that hold most of the host, the largest first: nine tenths of it, or five. Empty for a host that the model does not
    /// know by itself.
    pub topics: Vec<HostTopic>,
}

/// A topic of a host.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostTopic {
    /// Its number in the model, from 1.
    pub topic: u32,
    /// Its share of this host's tokens.
    pub host_share: f64,
    /// Its share of all hosts' tokens.
    pub all_share: f64,
    /// P(the record's word | topic); `null` for a word the model does not know.
    pub word_share: Option<f64>,
    /// Its most probable words, the most probable first.
    pub words: Vec<TopicWord>,
}

/// A word of a topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopicWord {
    /// The word.
    pub word: String,
    /// P(word | topic).
    pub share: f64,
    /// The word, taken apart; empty where that is not possible.
    pub features: Vec<Feature>,
}
