//! What an administrator sets for everybody. Kept in the state database, beside the lake.

use aggregator::lake::Lake;
use axum::extract::State;
use chrono_tz::Tz;

use super::{Told, told};
use crate::api::params::Given;
use crate::api::types::{Defaults, Problem};
use crate::app::Shared;
use crate::door::{Caller, entry};
use crate::problem::ApiError;

/// Key of the setting.
const ZONE: &str = "ui.zone";

/// The zone that times are shown in where nobody chose another.
pub(super) fn zone(lake: &Lake) -> Result<String, ApiError> {
    Ok(lake.state().setting(ZONE)?.unwrap_or_else(|| "UTC".to_owned()))
}

/// Set what everybody begins with.
#[utoipa::path(put, path = "/api/v1/defaults", request_body = Defaults,
    responses((status = 200, body = Defaults), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn set_defaults(
    State(app): State<Shared>,
    caller: Caller,
    Given(Defaults { zone }): Given<Defaults>,
) -> Result<Told<Defaults>, ApiError> {
    let known: Tz = zone.parse().map_err(|_| {
        ApiError::Bad(format!("`zone` must be UTC or an IANA zone such as Europe/Berlin, not {zone:?}"))
    })?;
    let zone = known.name().to_owned();
    let (entry, kept) = (entry(&caller, "defaults.zone", &zone, ""), zone.clone());
    app.blocking(move |lake| {
        lake.state().set_setting(ZONE, &kept)?;
        lake.state().append_audit(&entry)?;
        Ok(())
    })
    .await?;
    Ok(told(Defaults { zone }))
}
