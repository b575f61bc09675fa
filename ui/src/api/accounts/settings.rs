//! What an administrator sets for everybody, and each account for itself. Kept in the state database, beside the lake.

use aggregator::lake::Lake;
use axum::Json;
use axum::extract::State;
use chrono_tz::Tz;

use super::me::own;
use super::{Told, told};
use crate::api::params::Given;
use crate::api::types::{Defaults, Display, Problem};
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
    let zone = known(&zone)?.name().to_owned();
    let (entry, kept) = (entry(&caller, "defaults.zone", &zone, ""), zone.clone());
    app.blocking(move |lake| {
        lake.state().set_setting(ZONE, &kept)?;
        lake.state().append_audit(&entry)?;
        Ok(())
    })
    .await?;
    Ok(told(Defaults { zone }))
}

fn known(zone: &str) -> Result<Tz, ApiError> {
    zone.parse()
        .map_err(|_| ApiError::Bad(format!("`zone` must be UTC or an IANA zone such as Europe/Berlin, not {zone:?}")))
}

/// How things are shown to an account: as it said, else as usual.
pub(super) fn display(lake: &Lake, owner: &str) -> Result<Display, ApiError> {
    let kept = lake.state().display(owner)?;
    // What an older or newer server wrote and this one does not read is as if it were not there.
    Ok(kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

/// Set how things are shown, in every browser of one's own account.
#[utoipa::path(put, path = "/api/v1/me/display", request_body = Display,
    responses((status = 200, body = Display), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn set_display(
    State(app): State<Shared>,
    caller: Caller,
    Given(display): Given<Display>,
) -> Result<Json<Display>, ApiError> {
    let owner = own(&caller)?;
    if !["", "utc", "local"].contains(&&*display.zone) {
        known(&display.zone)?;
    }
    let json = serde_json::to_string(&display).map_err(|error| ApiError::Broken(error.to_string()))?;
    app.blocking(move |lake| Ok(lake.state().set_display(&owner, &json)?)).await?;
    Ok(Json(display))
}
