// SPDX-License-Identifier: GPL-2.0

//! Manual pages and completions, from the definition of a command line.

use clap::{Command, ValueEnum};
use clap_complete::Shell;

/// Output that is generated from a definition.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Generate {
    /// The manual page
    Man,
    /// Completions of bash
    Bash,
    /// Completions of zsh
    Zsh,
    /// Completions of fish
    Fish,
}

impl Generate {
    /// The page or script.
    pub fn text(self, mut command: Command) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let name = command.get_name().to_owned();
        let shell = match self {
            Self::Man => {
                // Section 8: the programs are in sbin.
                clap_mangen::Man::new(command)
                    .section("8")
                    .manual("GLB")
                    .render(&mut text)?;
                return Ok(text);
            }
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        };
        clap_complete::generate(shell, &mut command, name, &mut text);
        Ok(text)
    }
}
