//! Spot's storyboard: what was told of a threat, and what is drawn of it. It is a story of the day ([`kept`]); what Spot
//! wrote into files is asked from the lake when it is looked at.

use aggregator::lake::{Day, Source};
use aggregator::state::now;
use aggregator::state::stories::{self as kept, Changed};
use async_graphql::{Context, InputValueError, InputValueResult, Result, Scalar, ScalarType, SimpleObject, Value};

use super::scalars::SpotIp;
use super::{app, fail};
use crate::api::investigate::{Span, Subject, board_of};
use crate::api::stories::check_text;
use crate::api::types::{Board, BoardNode, Direction, Place};
use crate::door::{Caller, entry};
use crate::problem::ApiError;

/// Rows of each top list, as in Spot.
const TOP: u32 = 20;

/// A row that `threat.details` gave and the script sends back. The lake knows it, so it is not looked at.
pub(super) struct SentBack;

#[Scalar(name = "SpotThreatDetailsInputType")]
impl ScalarType for SentBack {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::Object(_) => Ok(Self),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}

/// A node of the incident progression.
#[derive(SimpleObject)]
#[graphql(name = "NetflowIncidentProgressionNodeType")]
pub(super) struct Progress {
    name: String,
    /// Connections below it.
    impact: u64,
    children: Vec<Progress>,
}

/// A node of the impact analysis: as far as inside and outside.
#[derive(SimpleObject)]
#[graphql(name = "NetflowImpactAnalysisNodeType")]
pub(super) struct Impact {
    name: String,
    /// Connections below it.
    size: u64,
    children: Vec<Impact>,
}

impl From<BoardNode> for Progress {
    fn from(node: BoardNode) -> Self {
        Self { name: node.name, impact: node.count, children: node.children.into_iter().map(Self::from).collect() }
    }
}

impl From<BoardNode> for Impact {
    fn from(node: BoardNode) -> Self {
        let below = node.children.into_iter().filter(|child| child.kind != "address");
        Self { name: node.name, size: node.count, children: below.map(Self::from).collect() }
    }
}

#[derive(SimpleObject)]
#[graphql(name = "NetflowMapViewGeometryType")]
struct Geometry {
    /// Degrees east, then north, as in GeoJSON.
    coordinates: [f64; 2],
}

#[derive(SimpleObject)]
#[graphql(name = "NetflowMapViewPropertiesType")]
struct Properties {
    ip: SpotIp,
    location: String,
    /// 1 two way, 2 inbound, 3 outbound.
    #[graphql(name = "type")]
    way: i32,
}

#[derive(SimpleObject)]
#[graphql(name = "NetflowMapViewIpType")]
pub(super) struct MapPoint {
    geometry: Geometry,
    properties: Properties,
}

/// Where the ends of a threat's connections are, as far as a geographic database was given.
#[derive(SimpleObject)]
#[graphql(name = "NetflowMapViewType")]
pub(super) struct MapView {
    src_ips: Vec<MapPoint>,
    dst_ips: Vec<MapPoint>,
}

impl From<&Place> for MapPoint {
    fn from(place: &Place) -> Self {
        let way = match place.way {
            Direction::TwoWay => 1,
            Direction::In => 2,
            Direction::Out => 3,
        };
        Self {
            geometry: Geometry { coordinates: [place.longitude, place.latitude] },
            properties: Properties { ip: SpotIp(place.ip.clone()), location: place.location.clone(), way },
        }
    }
}

impl MapView {
    /// A peer is a source where it opens connections, a destination where the threat does; the threat is both.
    pub(super) fn of(places: &[Place]) -> Self {
        let those = |not: Direction| {
            places.iter().filter(|place| place.is_subject || place.way != not).map(MapPoint::from).collect()
        };
        Self { src_ips: those(Direction::Out), dst_ips: those(Direction::In) }
    }
}

/// A day.
fn span(date: Day) -> Span {
    Span { from: date.start(), to: Day(date.0.saturating_add(1)).start() }
}

/// What is drawn of an address on a day.
pub(super) async fn board(context: &Context<'_>, ip: &SpotIp, date: Day) -> Result<Board> {
    let subject = Subject::parse(&ip.0).map_err(fail)?;
    board_of(app(context)?, subject, span(date), TOP).await.map_err(fail)
}

/// The stories of a source that tell of a day, latest change first.
pub(super) async fn told(context: &Context<'_>, source: Source, date: Day) -> Result<Vec<kept::Story>> {
    let Span { from, to } = span(date);
    let found = app(context)?.blocking(move |lake| Ok(lake.state().stories(from, to)?)).await.map_err(fail)?;
    Ok(found.into_iter().filter(|story| story.source == source).collect())
}

/// Tells a threat of a day. Told again it is another version of the same story.
pub(super) async fn tell(
    context: &Context<'_>,
    (source, date): (Source, Day),
    subject: &str,
    (title, text): (&str, &str),
) -> Result<bool> {
    let subject = Subject::parse(subject).map_err(fail)?.text();
    let (title, text) = check_text(title, text).map_err(fail)?;
    let caller = context.data::<Caller>()?;
    let note = entry(caller, "story", &format!("{} {date} {subject}", source.as_str()), &title);
    let author = caller.name.to_string();
    let Span { from: first, to: last } = span(date);
    let work = move |lake: &aggregator::lake::Lake| {
        let (state, time) = (lake.state(), now());
        let same = |story: &kept::Story| {
            story.source == source && story.subject == subject && (story.first, story.last) == (first, last)
        };
        let changed = match state.stories(first, last)?.into_iter().find(same) {
            Some(old) => state.edit_story(old.id, old.text.version, &title, &text, &author, time)?,
            None => {
                let new = kept::NewStory { source, subject, first, last, title, text, author, time };
                state.add_story(&new)?;
                Changed::Done(1)
            }
        };
        let Changed::Done(_) = changed else {
            return Err(ApiError::Conflict("someone else changed the story meanwhile: send it again".to_owned()));
        };
        state.append_audit(&note)?;
        Ok(true)
    };
    app(context)?.blocking(work).await.map_err(fail)
}
