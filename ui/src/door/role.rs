//! What a caller may do.

use std::fmt;

/// Roles of accounts and API tokens; each may do what those before it may.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything, changes nothing.
    Viewer,
    /// Gives verdicts, writes stories, asks in SQL.
    Analyst,
    /// Manages accounts, tokens and settings.
    Admin,
}

impl Role {
    /// All of them, least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Analyst, Self::Admin];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("there is no role {text:?}: there are viewer, analyst and admin"))
    }
}

/// The least that a route asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Least {
    /// Nothing: anyone may ask. Only for the health check and the way in.
    Open,
    /// The secret of a one-time link, or any role: the front page. The guard has checked it.
    Link,
    /// The scope `metrics` of a token, or any role.
    Metrics,
    /// This role or a higher one.
    Role(Role),
}

/// Short names for tables of routes.
pub(crate) const OPEN: Least = Least::Open;
/// Any role.
pub(crate) const VIEWER: Least = Least::Role(Role::Viewer);
/// Analysts and administrators.
pub(crate) const ANALYST: Least = Least::Role(Role::Analyst);
/// Administrators.
pub(crate) const ADMIN: Least = Least::Role(Role::Admin);
