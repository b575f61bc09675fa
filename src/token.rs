//! `spotter token`

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::record::Micros;
use aggregator::state::now;
use aggregator::state::tokens::{MAX_PER_USER, NewToken};
use clap::Subcommand;

use crate::output::{UsedWrongly, safe};
use crate::user::{Where, entry, finish, outcome, time, writable};

/// Longest life of a token.
const MAX_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

/// API tokens: for scripts (`Authorization: Bearer spt_…`), in the name of an account.
///
/// A token may do what its scope says, and never more than its account.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter token add alice --name dashboards --scope viewer --expires 90d\n  \
    spotter token add alice --name prometheus --scope metrics --expires 1year\n  \
    spotter token list\n  spotter token revoke 3")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a token; it is printed once, alone on standard output.
    Add {
        /// The account.
        user: String,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// metrics (nothing but /metrics), viewer, analyst or admin.
        #[arg(long, default_value = "viewer", value_parser = ["metrics", "viewer", "analyst", "admin"])]
        scope: String,
        /// When it ends; a year and a day at most.
        #[arg(long, value_name = "TIME", default_value = "90d")]
        expires: humantime::Duration,
        #[command(flatten)]
        at: Where,
    },
    /// Show all tokens, without their secrets.
    List {
        #[command(flatten)]
        at: Where,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back.
    Revoke {
        /// Its number, from `spotter token list`.
        id: i64,
        #[command(flatten)]
        at: Where,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Add { user, name, scope, expires, at } => {
            let life = Duration::from(*expires);
            if life.is_zero() || life > MAX_LIFE {
                return Err(UsedWrongly("--expires: from a moment to 366 days".to_owned()).into());
            }
            if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
                return Err(UsedWrongly("--name: say in 1 to 64 characters what the token is for".to_owned()).into());
            }
            let lake = writable(at)?;
            let Some(account) = lake.state().user(user)? else {
                outcome(user, aggregator::state::users::Changed::NoSuchUser)?;
                return Ok(ExitCode::FAILURE);
            };
            let secret = ui::new_token_secret()?;
            let expires = Micros(now().0 + i64::try_from(life.as_micros()).unwrap_or(i64::MAX));
            let token = NewToken { user: account.id, name: name.clone(), scope: scope.clone(), expires };
            let entry = entry("token.add", name, &format!("{scope} for {user}"));
            let made = lake.state().add_token(&ui::hash_secret(&secret), &token, now(), &entry)?;
            anyhow::ensure!(
                made.is_some(),
                "{user} has {MAX_PER_USER} tokens in force: take some back by `spotter token revoke`"
            );
            finish(&lake, &secret)
        }
        Action::List { at, json } => list(at, *json),
        Action::Revoke { id, at } => {
            let lake = writable(at)?;
            let entry = entry("token.revoke", &id.to_string(), "");
            anyhow::ensure!(
                lake.state().revoke_token(*id, None, now(), &entry)?,
                "there is no token {id} in force: see `spotter token list`"
            );
            finish(&lake, &format!("token {id} is void"))
        }
    }
}

fn list(at: &Where, json: bool) -> anyhow::Result<ExitCode> {
    let tokens = at.lake()?.state().tokens(None)?;
    let mut out = std::io::stdout().lock();
    let at = |time_of: Option<Micros>| time_of.map(|at| time(at.0));
    if json {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                serde_json::json!({
                    "id": token.id, "user": token.user, "name": token.name, "scope": token.scope,
                    "created": time(token.created.0), "expires": time(token.expires.0), "used": at(token.used),
                    "revoked": at(token.revoked),
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::Value::Array(rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "{:>5} {:<16} {:<8} {:<20} {:<20} {:<8} name",
        "id", "user", "scope", "expires", "last used", "state"
    )?;
    for token in &tokens {
        let state = match token.revoked {
            Some(_) => "revoked",
            None if token.expires <= now() => "expired",
            None => "in force",
        };
        let used = at(token.used).unwrap_or_else(|| "never".to_owned());
        let (user, name) = (safe(&token.user), safe(&token.name));
        let expires = time(token.expires.0);
        writeln!(out, "{:>5} {user:<16} {:<8} {expires:<20} {used:<20} {state:<8} {name}", token.id, token.scope)?;
    }
    Ok(ExitCode::SUCCESS)
}
