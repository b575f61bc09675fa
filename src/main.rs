//! The `spotter` command: arguments in, library calls out. One file per subcommand; no logic here.
#![forbid(unsafe_code)]

mod allocator;
mod appliance;
mod audit;
mod backup;
mod bench;
mod bench_lda;
mod bench_query;
mod capture;
mod collect;
mod config;
mod context;
mod demo;
mod doctor;
mod forward;
mod import;
mod lake;
mod manual;
mod migrate;
mod output;
mod packets;
mod query;
mod reach;
mod rules;
mod run;
mod score;
mod serve;
mod token;
mod user;
mod verdict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Network threat hunting on one machine: packets to records to the few that matter.
#[derive(Parser)]
#[command(name = "spotter", version, max_term_width = 100, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Begin with:\n  spotter demo                              a synthetic day with known attacks, in your browser\n  \
    spotter import --lake ./lake capture.pcap then: spotter score --lake ./lake && spotter serve --lake ./lake\n\n\
    Exit status: 0 done, 1 failed, 2 used wrongly."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say less (-q: errors only) on standard error.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more on standard error (-v: debug).
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Import(import::Args),
    Capture(Box<capture::Args>),
    Packets(packets::Args),
    Collect(Box<collect::Args>),
    Forward(Box<forward::Args>),
    Score(score::Args),
    Query(query::Args),
    Verdict(verdict::Args),
    Context(context::Args),
    Rules(rules::Args),
    Serve(serve::Args),
    User(user::Args),
    Token(token::Args),
    Audit(audit::Args),
    Run(run::Args),
    Config(config::Args),
    Lake(lake::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Doctor(doctor::Args),
    Bench(bench::Args),
    Manual(manual::Args),
    Migrate(migrate::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; everything else was used wrongly.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    output::start_logging(cli.quiet, cli.verbose);
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Capture(args) => capture::run(&args),
        Command::Packets(args) => packets::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Verdict(args) => verdict::run(&args),
        Command::Context(args) => context::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::User(args) => user::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Lake(args) => lake::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Manual(args) => manual::run(&args),
        Command::Migrate(args) => migrate::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => output::report(&error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_subcommand_takes_the_name_of_a_global_switch() {
        // `lake compact --quiet TIME` met the global `--quiet` and panicked when it was read.
        let cli = super::Cli::command();
        let globals: Vec<_> = cli.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().clone()).collect();
        let mut left: Vec<&clap::Command> = cli.get_subcommands().collect();
        assert!(globals.len() >= 2 && left.len() >= 11);
        while let Some(command) = left.pop() {
            let clash = command.get_arguments().find(|a| globals.contains(a.get_id()));
            assert!(clash.is_none(), "{}: {:?}", command.get_name(), clash.map(clap::Arg::get_id));
            left.extend(command.get_subcommands());
        }
        cli.debug_assert();
    }
}
