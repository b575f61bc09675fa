//! Stories, and the pictures of the storyboard.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Direction, Source, SubjectKind};

/// Which stories.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StoriesQuery {
    /// First moment they may tell of, RFC 3339; all times if left out.
    pub from: Option<String>,
    /// First moment after, RFC 3339.
    pub to: Option<String>,
}

/// The executive threat briefing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stories {
    /// Latest change first.
    pub stories: Vec<Story>,
}

/// One story.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Story {
    /// Its number.
    pub story_id: i64,
    /// Kind of record it began with.
    pub source: Source,
    /// What it is about.
    pub subject: String,
    /// First moment it tells of.
    pub from: String,
    /// First moment after.
    pub to: String,
    /// Headline.
    pub title: String,
    /// Markdown, as it was written.
    pub text: String,
    /// The text as blocks: what a page shows, without raw HTML, images or scripts.
    pub blocks: Vec<Block>,
    /// Version of the text; send it with an edit.
    pub version: u32,
    /// Who told it first.
    pub author: String,
    /// When.
    pub created: String,
    /// Who changed it last.
    pub edited_by: String,
    /// When.
    pub edited: String,
    /// Records pinned.
    pub pins: u32,
    /// Comments.
    pub comments: u32,
}

/// A block of a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Block {
    /// `heading`, `paragraph`, `item`, `quote`, `code`, or `rule`.
    pub kind: String,
    /// Heading level 1 to 6; depth of an item or quote; 0 else.
    pub level: u8,
    /// The number of an item of a numbered list.
    pub number: Option<u64>,
    /// Its text.
    pub spans: Vec<Span>,
}

/// A stretch of text of one form.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct Span {
    /// The text.
    pub text: String,
    /// Bold.
    pub strong: bool,
    /// Italic.
    pub emphasis: bool,
    /// Struck out.
    pub struck: bool,
    /// Code.
    pub code: bool,
    /// Where a link leads: http and https only, and to places in this application (`#/…`).
    pub href: Option<String>,
}

/// A story to tell.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStory {
    /// Kind of record it begins with.
    pub source: Source,
    /// What it is about.
    pub subject: String,
    /// First moment it tells of, RFC 3339.
    pub from: String,
    /// First moment after, RFC 3339.
    pub to: String,
    /// Headline, 1 to 200 characters.
    pub title: String,
    /// Markdown, at most 32,768 bytes.
    pub text: String,
}

/// A change of a story's text.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoryEdit {
    /// The version that was changed. If it is no longer the latest, the answer is 409.
    pub version: u32,
    /// Headline.
    pub title: String,
    /// Markdown.
    pub text: String,
}

/// A record to pin.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    /// Its table.
    pub source: Source,
    /// Its identity.
    pub record_id: String,
    /// Its first moment, RFC 3339.
    pub first_seen: String,
    /// Why, at most 2,000 characters.
    pub note: Option<String>,
}

/// A comment to add.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// Plain text, 1 to 8,000 characters.
    pub text: String,
}

/// All of a story.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeStory {
    /// The story.
    pub story: Story,
    /// Its pinned records, by their time.
    pub pins: Vec<StoryPin>,
    /// Its comments, oldest first.
    pub comments: Vec<StoryComment>,
    /// Its versions, latest first.
    pub versions: Vec<StoryVersion>,
}

/// A pinned record.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryPin {
    /// Its table.
    pub source: Source,
    /// Its identity.
    pub record_id: String,
    /// Its first moment.
    pub first_seen: String,
    /// Why it was pinned.
    pub note: Option<String>,
    /// Who pinned it.
    pub author: String,
    /// When.
    pub time: String,
    /// The record in one line; null if the lake no longer has it.
    pub summary: Option<String>,
}

/// A comment.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryComment {
    /// Its number.
    pub comment_id: i64,
    /// Who.
    pub author: String,
    /// When.
    pub time: String,
    /// What.
    pub text: String,
}

/// A version of a story's text.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryVersion {
    /// 1 for the first.
    pub version: u32,
    /// Headline.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub time: String,
}

/// What the storyboard draws of a subject.
#[derive(Debug, Serialize, ToSchema)]
pub struct Board {
    /// As it is looked for.
    pub subject: String,
    /// What it is.
    pub kind: SubjectKind,
    /// First moment.
    pub from: String,
    /// First moment after.
    pub to: String,
    /// Incident progression: subject, then way or role, then inside and outside, then hosts or names.
    pub progression: BoardNode,
    /// Timeline: when each of the leading peers was seen.
    pub drops: Vec<Drop>,
    /// Places on the map.
    pub places: Vec<Place>,
    /// Is there a geo database? If not, `places` is empty and the page says so.
    pub has_geo: bool,
    /// For a URI: its requests and what it referred to.
    pub requests: Vec<BoardRequest>,
    /// URIs whose referer it is.
    pub referred: Vec<String>,
}

/// A node of the progression; its size is what the impact analysis draws.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BoardNode {
    /// What it is.
    pub name: String,
    /// `root`, `way`, `context`, `address`, `name`.
    pub kind: String,
    /// Records below it.
    pub count: u64,
    /// Bytes below it.
    pub bytes: u64,
    /// Peers below it that are not drawn.
    pub hidden: u64,
    /// What is below it.
    #[schema(no_recursion)]
    pub children: Vec<BoardNode>,
}

/// When a peer was seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drop {
    /// The peer, client or name.
    pub name: String,
    /// Who opens the connections.
    pub way: Direction,
    /// Its most used service, or most common outcome.
    pub most: String,
    /// Moments in Unix seconds, in order; close ones are one.
    pub times: Vec<i64>,
    /// Records at each.
    pub counts: Vec<u64>,
}

/// A place on the map.
#[derive(Debug, Serialize, ToSchema)]
pub struct Place {
    /// The address.
    pub ip: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// City, country, owner.
    pub location: String,
    /// Who opens the connections.
    pub way: Direction,
    /// Bytes between it and the subject.
    pub bytes: u64,
    /// Is it the subject itself?
    pub is_subject: bool,
}

/// A request for a URI.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BoardRequest {
    /// Client.
    pub client_ip: String,
    /// Where it came from.
    pub referer: Option<String>,
    /// Method.
    pub method: String,
    /// Type of the answer.
    pub content_type: Option<String>,
    /// Requests.
    pub count: u64,
}

/// What was judged a high threat.
#[derive(Debug, Serialize, ToSchema)]
pub struct High {
    /// Latest verdict first.
    pub rows: Vec<HighRow>,
}

/// One High verdict in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct HighRow {
    /// Number of the verdict.
    pub verdict_id: i64,
    /// Kind of record.
    pub source: Source,
    /// The record, where it is about one.
    pub record_id: Option<String>,
    /// Its first moment.
    pub first_seen: Option<String>,
    /// What to investigate: its addresses, its name or URI.
    pub subjects: Vec<String>,
    /// How far the verdict reaches.
    pub scope: String,
    /// Who gave it.
    pub author: String,
    /// Why.
    pub note: Option<String>,
}
