// SPDX-License-Identifier: GPL-2.0

//! The commands about the settings of a director.

use crate::places::CONF;
use clap::{Arg, ArgGroup, ArgMatches, Args, FromArgMatches, Subcommand};
use glb_config::settings;
use glb_core::settings::{Form, Setting, Value};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings of the running director
    Show {
        /// Write them as a director.conf; "-" is standard output. In an existing file, fields that are not settings of
        /// the kernel stay (statsd_port)
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Change settings of the running director; settings that are not given stay as they are
    ///
    /// The settings are lost at the next boot. To keep them, write them to director.conf (glbctl config show --file).
    Set(ConfigSet),
    /// Load director.conf; settings that it does not name get their default
    Load {
        /// The file
        #[arg(default_value = CONF)]
        file: PathBuf,
    },
    /// Check a director.conf and show the settings that it contains; needs no director
    Check {
        /// The file
        #[arg(default_value = CONF)]
        file: PathBuf,
    },
}

/// The settings to change. The options are made from the table of the settings.
#[derive(Debug)]
pub(crate) struct ConfigSet {
    pub(crate) changes: Vec<(&'static Setting, Value)>,
}

impl Args for ConfigSet {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for setting in Setting::ALL {
            command = command.arg(option(setting));
        }
        command.group(
            ArgGroup::new("settings")
                .args(Setting::ALL.iter().map(|setting| setting.field))
                .required(true)
                .multiple(true),
        )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// The option that changes a setting.
fn option(setting: &'static Setting) -> Arg {
    let kind = match setting.form {
        Form::V4 | Form::V6 => "ADDRESS",
        Form::Mac => "MAC",
        Form::Fields | Form::OptionalFields => "FIELDS",
        Form::Flag => "BOOL",
        Form::Number(..) => "NUMBER",
        Form::Prefixes => "PREFIXES",
    };
    let doc = setting.doc.trim_end_matches('.');
    let expected = settings::expected(setting.form);
    Arg::new(setting.field)
        .long(setting.option)
        .value_name(kind)
        .help(format!("{doc} [{expected}]"))
        .value_parser(move |text: &str| settings::parse(setting.form, text))
}

impl FromArgMatches for ConfigSet {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let changes = Setting::ALL.iter().filter_map(|setting| {
            let value = matches.get_one::<Value>(setting.field)?;
            Some((setting, *value))
        });
        Ok(Self {
            changes: changes.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn every_setting_has_an_option_that_takes_what_is_shown() {
        for setting in Setting::ALL {
            let value = glb_core::settings::Settings::DEFAULT.get(setting);
            let option = format!("--{}", setting.option);
            let line = ["glbctl", "config", "set", &option, &settings::text(value)];
            let cli = Cli::try_parse_from(line).expect("understood");
            let Command::Config(ConfigCommand::Set(set)) = cli.command else {
                panic!("another command");
            };
            assert_eq!(set.changes, [(setting, value)]);
            let line = ["glbctl", "config", "set", &option, "x"];
            let error = Cli::try_parse_from(line).expect_err("no value");
            assert!(error.to_string().contains("expected "), "{error}");
        }
        assert!(Cli::try_parse_from(["glbctl", "config", "set"]).is_err());
    }
}
