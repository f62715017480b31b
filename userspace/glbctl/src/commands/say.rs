// SPDX-License-Identifier: GPL-2.0

//! What a command that waits says on standard error.

/// Says each thing once, however often it is looked at.
pub(crate) struct Say {
    silent: bool,
    said: String,
}

impl Say {
    /// Nothing is said to a program.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            silent: json,
            said: String::new(),
        }
    }

    pub(crate) fn say(&mut self, what: &str) {
        if !self.silent && self.said != what {
            eprintln!("glbctl: {what}");
            what.clone_into(&mut self.said);
        }
    }
}
