//! Accounts, sessions, tokens, the audit log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::SavedView;
use crate::door::Role;

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Name of the account; `console` for a session from a one-time link.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// By what it proved itself: `console`, `session` or `token`.
    pub via: String,
    /// The zone that times are shown in where one has chosen no other: `UTC`, or an IANA zone.
    pub zone: String,
    /// The saved views that pages begin with.
    pub views: Vec<SavedView>,
    /// How things are shown, in every browser of the account; `null` where there is no account to keep it.
    pub display: Option<Display>,
}

/// How things are shown to an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Light or dark.
    pub theme: Theme,
    /// High contrast.
    pub contrast: Contrast,
    /// In which zone times are shown: `utc`, `local` (the browser's), an IANA zone, or empty: the one for everybody.
    pub zone: String,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// What the browser asks for.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// High contrast.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Contrast {
    /// What the browser asks for.
    #[default]
    System,
    /// High.
    More,
}

/// What an administrator sets for everybody.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The zone that times are shown in: `UTC`, or an IANA zone such as `Europe/Berlin`. Everybody may choose another.
    pub zone: String,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// Its name; upper and lower case are the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: String,
    /// When its password was last changed.
    pub password_changed: String,
    /// When it last signed in.
    pub last_login: Option<String>,
    /// Since when it may not sign in.
    pub disabled: Option<String>,
}

/// All accounts, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accounts {
    /// The accounts.
    pub users: Vec<Account>,
}

/// An account to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its name: letters, digits and `._@-`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// At least 12 characters.
    pub password: String,
}

/// What to change of an account; absent fields stay. Its sessions end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it may sign in.
    pub enabled: Option<bool>,
    /// A new password.
    pub password: Option<String>,
}

/// A new password for oneself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present one.
    pub current: String,
    /// At least 12 characters.
    pub new: String,
}

/// A session of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionInfo {
    /// Names it; not its secret.
    pub id: String,
    /// The one that asks.
    pub current: bool,
    /// When it began.
    pub created: String,
    /// When it was last used, to the minute.
    pub used: String,
    /// When it ends at the latest.
    pub expires: String,
    /// From where it began.
    pub address: String,
    /// What the browser called itself.
    pub agent: String,
}

/// Sessions, the latest used first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sessions {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
}

/// What a token may do at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read the server's metrics, nothing else.
    Metrics,
    /// As a viewer.
    Viewer,
    /// As an analyst.
    Analyst,
    /// As an administrator.
    Admin,
}

impl Scope {
    /// As it is kept.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }

    /// The role it stands for.
    pub(crate) const fn role(self) -> Option<Role> {
        match self {
            Self::Metrics => None,
            Self::Viewer => Some(Role::Viewer),
            Self::Analyst => Some(Role::Analyst),
            Self::Admin => Some(Role::Admin),
        }
    }
}

/// An API token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenInfo {
    /// Its number.
    pub id: i64,
    /// In whose name.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// What it may do at most.
    pub scope: String,
    /// When it was made.
    pub created: String,
    /// When it ends.
    pub expires: String,
    /// When it was last used, to the minute.
    pub used: Option<String>,
    /// When it was taken back.
    pub revoked: Option<String>,
}

/// Tokens, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    /// The tokens.
    pub tokens: Vec<TokenInfo>,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenRequest {
    /// What it is for, 1 to 64 characters.
    pub name: String,
    /// What it may do at most.
    pub scope: Scope,
    /// Days until it ends, 1 to 366.
    pub days: u16,
}

/// A token that was made. Its secret is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeToken {
    /// Its number.
    pub id: i64,
    /// For `Authorization: Bearer`.
    pub token: String,
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// Always true: what was not done is a problem.
    pub done: bool,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: i64,
    /// When.
    pub time: String,
    /// Who; `-` for nobody.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More.
    pub detail: String,
    /// Hash of the entry and the hash before it.
    pub hash: String,
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Audit {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// For the parameter `before` of the next page; `null` at the end.
    pub next: Option<i64>,
}

/// Which page of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Entries before this number; absent: the newest.
    pub before: Option<i64>,
    /// 1 to 500; absent: 100.
    pub limit: Option<u32>,
}

/// What a look at the whole audit log found.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditCheck {
    /// Entries that were read.
    pub entries: u64,
    /// Heads that the ledger has noted, with which the log was compared.
    pub heads: u64,
    /// Number of the first entry that does not fit; `null` where all fits.
    pub broken_at: Option<i64>,
    /// What does not fit.
    pub what: Option<String>,
}
