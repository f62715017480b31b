// SPDX-License-Identifier: GPL-2.0

//! The commands, a module each.

mod backend;
mod bind;
mod capture;
mod class_import;
mod classes;
mod config_check;
mod decap;
mod doctor;
mod encap;
mod flows;
mod gateway;
mod generate;
mod key;
mod layout;
mod lookup;
mod narrower;
mod running;
mod same;
mod say;
mod settings;
mod source;
pub(crate) mod table_build;
mod table_check;
mod table_diff;
mod table_export;
mod table_import;
mod table_new;
mod table_show;
mod target;

use crate::cli::redirect::RedirectCommand;
use crate::cli::table::TableCommand;
use crate::cli::{Cli, Command};
use crate::output::Failure;

/// What is to be done after a change of the operator's file.
pub(crate) const RELOAD: &str =
    "Reload the health checker to have it so: systemctl reload glb-healthcheck";

/// Does what the command line asks for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let json = cli.json;
    match cli.command {
        Command::Table(TableCommand::Build { src, dst, format }) => {
            table_build::run(&src, &dst, format, json)
        }
        Command::Table(TableCommand::Check { files }) => table_check::run(&files, json),
        Command::Table(TableCommand::Load { file, dry_run }) => {
            running::tables::load(&file, dry_run, json)
        }
        Command::Table(TableCommand::Show {
            file, table, rows, ..
        }) => match file {
            Some(file) => table_show::run(&file, table.as_deref(), rows, json),
            None => running::tables::show(table.as_deref(), rows, json),
        },
        Command::Table(TableCommand::New(args)) => table_new::run(&args, json),
        Command::Table(TableCommand::Export(args)) => table_export::run(&args, json),
        Command::Table(TableCommand::ImportVpp(args)) => table_import::run(&args, json),
        Command::Table(TableCommand::ImportNfqlb(args)) => class_import::run(&args, json),
        Command::Table(TableCommand::Restore { file, dry_run }) => {
            running::restore::run(&file, dry_run, json)
        }
        Command::Table(TableCommand::Diff(args)) => table_diff::run(&args, json),
        Command::Lookup(args) => match &args.table {
            Some(table) => lookup::run(&args, table, json),
            None => running::lookup::run(&args, json),
        },
        Command::Attach(args) => running::devices::attach(&args, json),
        Command::Assign(args) => running::assign::run(&args, json),
        Command::Detach { device } => running::devices::detach(&device, json),
        Command::Config(command) => running::config::run(&command, json),
        Command::Status => running::status::run(json),
        Command::Stats {
            watch,
            services,
            backends,
        } => running::stats::run(watch, running::stats::Of::asked(services, backends), json),
        Command::Flows(args) => running::flows::run(&args, json),
        Command::Geneve(command) => running::geneve::run(&command, json),
        Command::Statsd(args) => running::statsd::run(&args),
        Command::Monitor { count } => running::monitor::run(count, json),
        Command::Backend(command) => backend::run(&command, json),
        Command::Bind(command) => bind::run(&command, json),
        Command::Redirect(RedirectCommand::Door(command)) => running::redirect::run(&command, json),
        Command::Redirect(RedirectCommand::Cookie(command)) => running::cookie::run(&command, json),
        Command::Redirect(RedirectCommand::Flows(args)) => flows::run(&args, json),
        Command::Target(command) => target::run(&command, json),
        Command::Doctor(args) => doctor::run(&args, json),
        Command::Encap(args) => encap::run(&args, json),
        Command::Decap(args) => decap::run(&args, json),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { dir } => generate::man(&dir),
    }
}
