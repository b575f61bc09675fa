//! `spotter user`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::lake::Lake;
use aggregator::state::audit::NewEntry;
use aggregator::state::users::{Changed, User};
use anyhow::Context;
use clap::Subcommand;
use ui::Role;

use crate::output::{UsedWrongly, safe};

/// Accounts of the web application. The first one has to be an administrator; one-time links open nothing afterwards.
///
/// A running `spotter serve` or `spotter run` knows each change at once. Changing an account ends its sessions.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter user add alice --role admin                 asks for the password\n  \
    echo \"$PASSWORD\" | spotter user add bob --role analyst --password-stdin\n  \
    spotter user list --json\n  spotter user role bob viewer\n  spotter user disable bob\n  \
    spotter user password alice                         a lost password, or a leaked one")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Args)]
pub(crate) struct Where {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
}

#[derive(clap::Args)]
struct GivenPassword {
    /// Read the password from the first line of standard input instead of asking for it.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Make an account.
    Add {
        /// Letters, digits and `._@-`; upper and lower case are the same.
        name: String,
        /// viewer (sees), analyst (judges, writes, asks in SQL) or admin (manages accounts too).
        #[arg(long, default_value = "viewer")]
        role: Role,
        #[command(flatten)]
        password: GivenPassword,
        #[command(flatten)]
        at: Where,
    },
    /// Show all accounts.
    List {
        #[command(flatten)]
        at: Where,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set a password.
    Password {
        /// Whose.
        name: String,
        #[command(flatten)]
        password: GivenPassword,
        #[command(flatten)]
        at: Where,
    },
    /// Set a role.
    Role {
        /// Whose.
        name: String,
        /// viewer, analyst or admin.
        role: Role,
        #[command(flatten)]
        at: Where,
    },
    /// Let an account sign in no more; its sessions end, its tokens are void.
    Disable {
        /// Whose.
        name: String,
        #[command(flatten)]
        at: Where,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// Whose.
        name: String,
        #[command(flatten)]
        at: Where,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Add { name, role, password, at } => {
            ui::check_name(name).map_err(|error| UsedWrongly(error.to_string()))?;
            let lake = writable(at)?;
            let phc = hash(name, password)?;
            let entry = entry("user.add", name, role.as_str());
            outcome(name, lake.state().add_user(name, &phc, role.as_str(), false, &entry)?)?;
            finish(&lake, &format!("{name} may sign in as {role}"))
        }
        Action::List { at, json } => list(&Lake::open_existing(&at.lake)?.state().users()?, *json),
        Action::Password { name, password, at } => {
            let lake = writable(at)?;
            known(&lake, name)?;
            let phc = hash(name, password)?;
            outcome(name, lake.state().set_password(name, &phc, &entry("user.password", name, ""))?)?;
            finish(&lake, &format!("{name} has a new password; the sessions of {name} have ended"))
        }
        Action::Role { name, role, at } => {
            let lake = writable(at)?;
            outcome(name, lake.state().set_role(name, role.as_str(), &entry("user.role", name, role.as_str()))?)?;
            finish(&lake, &format!("{name} is {role}; the sessions of {name} have ended"))
        }
        Action::Disable { name, at } => {
            let lake = writable(at)?;
            outcome(name, lake.state().set_enabled(name, false, &entry("user.disable", name, ""))?)?;
            finish(&lake, &format!("{name} may not sign in; sessions have ended, tokens are void"))
        }
        Action::Enable { name, at } => {
            let lake = writable(at)?;
            outcome(name, lake.state().set_enabled(name, true, &entry("user.enable", name, ""))?)?;
            finish(&lake, &format!("{name} may sign in"))
        }
    }
}

/// What is done here is done by whoever may write the lake's files.
pub(crate) fn entry(action: &str, subject: &str, detail: &str) -> NewEntry {
    NewEntry {
        actor: "console".to_owned(),
        address: "console".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
    }
}

pub(crate) fn writable(at: &Where) -> anyhow::Result<Lake> {
    let lake = Lake::open_existing(&at.lake)?;
    anyhow::ensure!(
        lake.is_writable(),
        "{} cannot be written: run this as the user that Spotter runs as (sudo -u spotter spotter …)",
        lake.dir().display()
    );
    Ok(lake)
}

impl Where {
    pub(crate) fn lake(&self) -> anyhow::Result<Lake> {
        Ok(Lake::open_existing(&self.lake)?)
    }
}

fn known(lake: &Lake, name: &str) -> anyhow::Result<()> {
    match lake.state().user(name)? {
        Some(_) => Ok(()),
        None => outcome(name, Changed::NoSuchUser),
    }
}

pub(crate) fn outcome(name: &str, changed: Changed) -> anyhow::Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::NoSuchUser => anyhow::bail!("there is no account {name:?}: see `spotter user list`"),
        Changed::NameTaken => {
            anyhow::bail!("there is an account {name:?} already: `spotter user password {name}` sets its password")
        }
        Changed::LastAdmin => anyhow::bail!(
            "there has to be an administrator who can sign in: `spotter user add NAME --role admin` makes one"
        ),
    }
}

/// Notes the new entry in the ledger too.
pub(crate) fn finish(lake: &Lake, said: &str) -> anyhow::Result<ExitCode> {
    lake.write_audit_head()?;
    writeln!(std::io::stdout(), "{}", safe(said))?;
    Ok(ExitCode::SUCCESS)
}

fn hash(name: &str, password: &GivenPassword) -> anyhow::Result<String> {
    let text = if password.password_stdin { from_stdin()? } else { ask()? };
    ui::hash_password(name, &text).map_err(|error| UsedWrongly(error.to_string()).into())
}

fn from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("reading the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(UsedWrongly(
            "there is no terminal to ask for the password: pipe it in and give --password-stdin".to_owned(),
        )
        .into());
    }
    let terminal = console::Term::stderr();
    terminal.write_str("Password: ")?;
    let first = terminal.read_secure_line()?;
    terminal.write_str("Again: ")?;
    if terminal.read_secure_line()? != first {
        return Err(UsedWrongly("the two passwords are not the same".to_owned()).into());
    }
    Ok(first)
}

fn list(users: &[User], json: bool) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if json {
        let rows: Vec<_> = users
            .iter()
            .map(|user| {
                serde_json::json!({
                    "name": user.name, "role": user.role, "created": time(user.created.0),
                    "password_changed": time(user.changed.0), "last_login": user.login.map(|at| time(at.0)),
                    "disabled": user.disabled.map(|at| time(at.0)),
                })
            })
            .collect();
        writeln!(out, "{}", serde_json::Value::Array(rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{:<24} {:<8} {:<20} state", "name", "role", "last signed in")?;
    for user in users {
        let login = user.login.map_or_else(|| "never".to_owned(), |at| time(at.0));
        let state = if user.disabled.is_some() { "disabled" } else { "active" };
        writeln!(out, "{:<24} {:<8} {login:<20} {state}", safe(&user.name), user.role)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Microseconds since 1970 as `2026-11-22T10:15:00Z`.
pub(crate) fn time(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
