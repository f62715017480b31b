// SPDX-License-Identifier: GPL-2.0

//! The output of the extension: help, the column of a listing, and the words of a saved rule.

use crate::info::InfoError;
use crate::Opt;
use crate::Rule;
use crate::ValueError;

/// The name of the target, as `-j` takes it.
pub const TARGET: &str = "GLBREDIRECT";

/// What `iptables -j GLBREDIRECT -h` adds to the help of iptables.
pub const HELP: &str = "\
GLBREDIRECT target options:
  --allow-hops PREFIX[,PREFIX...]
                          Forward only to hops inside these prefixes (IPv4 and
                          IPv6, at most 16) and drop what names another hop.
                          Without the option any hop is forwarded to.
  --syn-listener          Keep a SYN only if a socket listens for it.
  --udp                   Keep a UDP datagram only if a connected socket has it.
  --conntrack             Keep what belongs to a connection that the connection
                          tracking knows, as that of a container behind DNAT.
  --netns NAME[,NAME...]  Ask the sockets of these network namespaces too (at
                          most 16, named as by `ip netns`).
Without the last four, every SYN and every UDP datagram stays, and the sockets
of this network namespace alone are asked. What does not stay is passed on to
the next hop. The last one keeps what comes to it.
The target takes the UDP packets of a GLB director: chains INPUT and FORWARD,
with -p udp and the port of the tunnel (--dport 19523).
";

/// What `iptables -L` shows behind the other columns.
pub fn print(rule: &Rule) -> String {
    words(rule, "")
}

/// What `iptables -S` and `iptables-save` write behind `-j GLBREDIRECT`: the words that make the rule again.
pub fn save(rule: &Rule) -> String {
    words(rule, "--")
}

fn words(rule: &Rule, dashes: &str) -> String {
    let mut text = String::new();
    for (option, value) in rule.options() {
        text += &format!(" {dashes}{}", option.name());
        if option.takes_value() {
            text += &format!(" {value}");
        }
    }
    text
}

/// What a listing shows for a rule that this version cannot read. No option looks like it.
pub fn print_unreadable(cause: &InfoError) -> String {
    format!(" [unreadable: {cause}]")
}

/// The error for saving a rule that this version cannot read.
pub fn save_unreadable(cause: &InfoError) -> String {
    format!("{TARGET}: cannot save a rule of another version of this extension: {cause}")
}

/// The error for a value of an option, which begins as iptables' own errors of that kind do. It quotes
/// the item that is at fault, or the whole value if no single one is.
pub fn bad_value(option: Opt, value: &str, cause: &ValueError) -> String {
    if !option.takes_value() {
        return format!("{TARGET}: {cause}");
    }
    // The cause must not get out of sight behind a value of any length.
    const LONGEST: usize = 120;
    let at_fault = cause.item().unwrap_or(value);
    let shown: String = at_fault.chars().take(LONGEST).collect();
    let more = if shown.len() < at_fault.len() {
        "..."
    } else {
        ""
    };
    let name = option.name();
    format!("{TARGET}: Bad value for \"--{name}\" option: \"{shown}{more}\": {cause}")
}

/// The error for an option when the kernel's target is of a revision that has no room for it.
pub fn option_needs_newer_kernel(option: Opt, revision: u8) -> String {
    let name = option.name();
    let remedy = if revision == 0 {
        "Load rust_glb_redirect instead"
    } else {
        "Load a newer rust_glb_redirect"
    };
    format!(
        "{TARGET}: option \"--{name}\" is not supported by the kernel module that is loaded: \
         its {TARGET} has {} (revision {revision}). {remedy}",
        if revision == 0 {
            "no options"
        } else {
            "fewer options"
        },
    )
}

/// The error for an option when the bytes of the rule that it belongs to are not those of this version.
pub fn unreadable(cause: &InfoError) -> String {
    format!("{TARGET}: the rule is not one of this version of the extension: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AllowedHops;
    use crate::HopsError;

    fn rule(options: &[(Opt, &str)]) -> Rule {
        let mut rule = Rule::default();
        for &(option, value) in options {
            rule.set(option, value).expect("a good value");
        }
        rule
    }

    #[test]
    fn a_rule_without_options_adds_nothing() {
        assert_eq!(print(&Rule::default()), "");
        assert_eq!(save(&Rule::default()), "");
    }

    #[test]
    fn a_rule_with_options() {
        let hops = rule(&[(Opt::AllowHops, "10.0.0.0/8,fd00::/8")]);
        assert_eq!(print(&hops), " allow-hops 10.0.0.0/8,fd00::/8");
        assert_eq!(save(&hops), " --allow-hops 10.0.0.0/8,fd00::/8");
        // In whatever order they are typed, they are saved in one.
        let all = rule(&[
            (Opt::Netns, "web,b"),
            (Opt::Conntrack, ""),
            (Opt::Udp, ""),
            (Opt::AllowHops, "10.0.0.0/8"),
        ]);
        assert_eq!(
            save(&all),
            " --allow-hops 10.0.0.0/8 --udp --conntrack --netns web,b"
        );
        assert_eq!(
            print(&all),
            " allow-hops 10.0.0.0/8 udp conntrack netns web,b"
        );
    }

    #[test]
    fn a_rule_with_a_listener() {
        let listener = rule(&[(Opt::Udp, ""), (Opt::SynListener, "")]);
        assert_eq!(save(&listener), " --syn-listener --udp");
        assert_eq!(print(&listener), " syn-listener udp");
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.len() <= 80));
        for option in Opt::ALL {
            assert!(HELP.contains(&format!("  --{} ", option.name())));
        }
        assert!(HELP.contains(&format!("at most {}", AllowedHops::MAX)));
    }

    #[test]
    fn a_bad_value_names_the_item_at_fault() {
        let message = |option, value| {
            let cause = Rule::default().set(option, value).expect_err("a bad value");
            bad_value(option, value, &cause)
        };
        assert_eq!(
            message(Opt::AllowHops, "10.0.0.0/8,10.0.0.0/33"),
            "GLBREDIRECT: Bad value for \"--allow-hops\" option: \"10.0.0.0/33\": \
             the prefix length is a number from 0 to 32"
        );
        assert_eq!(
            message(Opt::Netns, "a,b/c"),
            "GLBREDIRECT: Bad value for \"--netns\" option: \"b/c\": \
             not the name of a network namespace (at most 63 bytes, without a slash)"
        );
    }

    #[test]
    fn a_long_value_leaves_room_for_the_cause() {
        let value = "x".repeat(10_000);
        let message = bad_value(
            Opt::AllowHops,
            &value,
            &ValueError::Hops(HopsError::TooMany),
        );
        assert!(
            message.ends_with("...\": more than 16 prefixes"),
            "{message}"
        );
        assert!(message.len() < 256);
    }

    #[test]
    fn an_option_without_a_value_has_no_bad_one() {
        assert_eq!(
            bad_value(Opt::Conntrack, "", &ValueError::Exclusive),
            "GLBREDIRECT: --syn-listener and --conntrack exclude each other: DNAT hides who listens"
        );
    }

    #[test]
    fn what_an_older_module_lacks() {
        assert_eq!(
            option_needs_newer_kernel(Opt::Udp, 1),
            "GLBREDIRECT: option \"--udp\" is not supported by the kernel module that is loaded: \
             its GLBREDIRECT has fewer options (revision 1). Load a newer rust_glb_redirect"
        );
    }
}
