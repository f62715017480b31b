// SPDX-License-Identifier: GPL-2.0

//! What a rule says: all of its options.

use crate::AllowedHops;
use crate::HopsError;
use crate::Namespaces;
use crate::NamespacesError;
use std::fmt;

/// An option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt {
    /// `--allow-hops PREFIX[,PREFIX...]`
    AllowHops,
    /// `--syn-listener`
    SynListener,
    /// `--udp`
    Udp,
    /// `--conntrack`
    Conntrack,
    /// `--netns NAME[,NAME...]`
    Netns,
}

impl Opt {
    /// Every option, in the order in which a rule is saved.
    pub const ALL: [Self; 5] = [
        Self::AllowHops,
        Self::SynListener,
        Self::Udp,
        Self::Conntrack,
        Self::Netns,
    ];

    /// Its name, without the dashes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowHops => "allow-hops",
            Self::SynListener => "syn-listener",
            Self::Udp => "udp",
            Self::Conntrack => "conntrack",
            Self::Netns => "netns",
        }
    }

    /// Whether a value follows it.
    pub const fn takes_value(self) -> bool {
        matches!(self, Self::AllowHops | Self::Netns)
    }

    /// The first revision of the target whose rules can have it.
    pub const fn since_revision(self) -> u8 {
        match self {
            Self::AllowHops => 1,
            Self::SynListener | Self::Udp | Self::Conntrack | Self::Netns => 2,
        }
    }
}

/// A rule. The default is one without options, which does what the deployed target does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Hops that packets may be passed on to.
    pub hops: AllowedHops,
    /// Whether a SYN stays only where a socket listens for it.
    pub syn_listener: bool,
    /// Whether a datagram of UDP stays only where a connected socket has it.
    pub udp: bool,
    /// Whether a packet stays whose connection the connection tracking knows.
    pub conntrack: bool,
    /// Network namespaces whose sockets are asked too.
    pub namespaces: Namespaces,
}

impl Rule {
    /// Takes an option in. An option without a value ignores it.
    pub fn set(&mut self, option: Opt, value: &str) -> Result<(), ValueError> {
        let excluded = match option {
            Opt::SynListener => self.conntrack,
            Opt::Conntrack => self.syn_listener,
            _ => false,
        };
        if excluded {
            return Err(ValueError::Exclusive);
        }
        match option {
            Opt::AllowHops => self.hops = value.parse().map_err(ValueError::Hops)?,
            Opt::SynListener => self.syn_listener = true,
            Opt::Udp => self.udp = true,
            Opt::Conntrack => self.conntrack = true,
            Opt::Netns => self.namespaces = value.parse().map_err(ValueError::Namespaces)?,
        }
        Ok(())
    }

    /// The options that the rule has, each with its value or an empty text.
    pub fn options(&self) -> impl Iterator<Item = (Opt, String)> + '_ {
        Opt::ALL.into_iter().filter_map(|option| {
            let (is_there, value) = match option {
                Opt::AllowHops => (!self.hops.allow_any(), self.hops.to_string()),
                Opt::SynListener => (self.syn_listener, String::new()),
                Opt::Udp => (self.udp, String::new()),
                Opt::Conntrack => (self.conntrack, String::new()),
                Opt::Netns => (
                    !self.namespaces.names().is_empty(),
                    self.namespaces.to_string(),
                ),
            };
            is_there.then_some((option, value))
        })
    }
}

/// Why a text is no value of its option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// Of `--allow-hops`.
    Hops(HopsError),
    /// Of `--netns`.
    Namespaces(NamespacesError),
    /// `--syn-listener` and `--conntrack` are both there.
    Exclusive,
}

impl ValueError {
    /// The item of the list that is at fault, if a single one is.
    pub fn item(&self) -> Option<&str> {
        match self {
            Self::Hops(HopsError::Item { item, .. }) => Some(item),
            Self::Namespaces(NamespacesError::Name { name }) => Some(name),
            _ => None,
        }
    }
}

/// Writes what is wrong, without the item.
impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hops(HopsError::Item { cause, .. }) => cause.fmt(f),
            Self::Hops(cause) => cause.fmt(f),
            Self::Namespaces(cause) => cause.fmt(f),
            Self::Exclusive => f.write_str(
                "--syn-listener and --conntrack exclude each other: DNAT hides who listens",
            ),
        }
    }
}

impl std::error::Error for ValueError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_and_nothing_else() {
        for option in Opt::ALL {
            let value = match option {
                Opt::AllowHops => "10.0.0.0/8",
                Opt::Netns => "web",
                _ => "",
            };
            let mut rule = Rule::default();
            rule.set(option, value).expect("a good value");
            let there: Vec<_> = rule.options().collect();
            assert_eq!(there, [(option, value.to_owned())]);
        }
        assert_eq!(Rule::default().options().count(), 0);
    }

    #[test]
    fn a_listener_is_not_asked_for_behind_dnat() {
        for [first, second] in [
            [Opt::SynListener, Opt::Conntrack],
            [Opt::Conntrack, Opt::SynListener],
        ] {
            let mut rule = Rule::default();
            rule.set(first, "").expect("alone");
            assert_eq!(rule.set(second, ""), Err(ValueError::Exclusive));
            assert_eq!(rule.options().count(), 1);
        }
    }

    #[test]
    fn a_bad_value_changes_nothing() {
        let mut rule = Rule::default();
        rule.set(Opt::Netns, "a").expect("a name");
        let before = rule.clone();
        let error = rule.set(Opt::Netns, "b,c/d").expect_err("a slash");
        assert_eq!(error.item(), Some("c/d"));
        assert_eq!(rule, before);
    }
}
