//! Views that people saved.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Of which page.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ViewsQuery {
    /// Its path: `suspicious/flow`.
    pub page: String,
}

/// A saved view.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedView {
    /// Its number.
    pub id: i64,
    /// The page's path.
    pub page: String,
    /// What people call it.
    pub name: String,
    /// Who saved it.
    pub owner: String,
    /// May everybody open it?
    pub shared: bool,
    /// The parameters of the page's address.
    pub query: String,
    /// When it was saved last.
    pub created: String,
    /// Is it of the one who asks?
    pub own: bool,
    /// Does the page begin with it, for the one who asks?
    pub default: bool,
}

/// The views of a page, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedViews {
    /// The views.
    pub views: Vec<SavedView>,
}

/// A view to be saved.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSavedView {
    /// The page's path: `suspicious/flow`.
    pub page: String,
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// May everybody open it?
    pub shared: bool,
    /// The parameters of the page's address, 8192 bytes at most.
    pub query: String,
}
