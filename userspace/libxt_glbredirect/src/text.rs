// SPDX-License-Identifier: GPL-2.0

//! The output of the extension: help, the column of a listing, and the words of a saved rule.

use crate::info::InfoError;
use crate::AllowedHops;
use crate::HopsError;
use std::fmt;

/// The name of the target, as `-j` takes it.
pub const TARGET: &str = "GLBREDIRECT";

/// The name of the option, without its dashes.
pub const ALLOW_HOPS: &str = "allow-hops";

/// What `iptables -j GLBREDIRECT -h` adds to the help of iptables.
pub const HELP: &str = "\
GLBREDIRECT target options:
  --allow-hops PREFIX[,PREFIX...]
                          Forward only to hops inside these prefixes (IPv4 and
                          IPv6, at most 16) and drop what names another hop.
                          Without the option any hop is forwarded to.
The target takes the UDP packets of a GLB director: chains INPUT and FORWARD,
with -p udp and the port of the tunnel (--dport 19523).
";

/// What `iptables -L` shows behind the other columns.
pub fn print(hops: &AllowedHops) -> String {
    if hops.allow_any() {
        return String::new();
    }
    format!(" {ALLOW_HOPS} {hops}")
}

/// What `iptables -S` and `iptables-save` write behind `-j GLBREDIRECT`: the words that make the rule again.
pub fn save(hops: &AllowedHops) -> String {
    if hops.allow_any() {
        return String::new();
    }
    format!(" --{ALLOW_HOPS} {hops}")
}

/// What a listing shows for a rule that this version cannot read. No option looks like it.
pub fn print_unreadable(cause: &InfoError) -> String {
    format!(" [unreadable: {cause}]")
}

/// The error for saving a rule that this version cannot read.
pub fn save_unreadable(cause: &InfoError) -> String {
    format!("{TARGET}: cannot save a rule of another version of this extension: {cause}")
}

/// The error for a value of `--allow-hops`, which begins as iptables' own errors of that kind do. It quotes
/// the item that is at fault, or the whole value if no single one is.
pub fn bad_value(value: &str, cause: &HopsError) -> String {
    // The cause must not get out of sight behind a value of any length.
    const LONGEST: usize = 120;
    let (at_fault, cause): (&str, &dyn fmt::Display) = match cause {
        HopsError::Item { item, cause } => (item, cause),
        _ => (value, cause),
    };
    let shown: String = at_fault.chars().take(LONGEST).collect();
    let more = if shown.len() < at_fault.len() {
        "..."
    } else {
        ""
    };
    format!("{TARGET}: Bad value for \"--{ALLOW_HOPS}\" option: \"{shown}{more}\": {cause}")
}

/// The error for `--allow-hops` when the kernel's target is one without options.
pub fn option_needs_newer_kernel() -> String {
    format!(
        "{TARGET}: option \"--{ALLOW_HOPS}\" is not supported by the kernel module that is loaded: \
         its {TARGET} has no options (revision 0). Load rust_glb_redirect instead"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_the_option_adds_nothing() {
        assert_eq!(print(&AllowedHops::default()), "");
        assert_eq!(save(&AllowedHops::default()), "");
    }

    #[test]
    fn a_rule_with_the_option() {
        let hops = "10.0.0.0/8,fd00::/8".parse().expect("a good list");
        assert_eq!(print(&hops), " allow-hops 10.0.0.0/8,fd00::/8");
        assert_eq!(save(&hops), " --allow-hops 10.0.0.0/8,fd00::/8");
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.len() <= 80));
        assert!(HELP.contains(&format!("--{ALLOW_HOPS} ")));
        assert!(HELP.contains(&format!("at most {}", AllowedHops::MAX)));
    }

    #[test]
    fn a_bad_value_names_the_item_at_fault() {
        let value = "10.0.0.0/8,10.0.0.0/33";
        let cause = value.parse::<AllowedHops>().expect_err("33 bits");
        assert_eq!(
            bad_value(value, &cause),
            "GLBREDIRECT: Bad value for \"--allow-hops\" option: \"10.0.0.0/33\": \
             the prefix length is a number from 0 to 32"
        );
    }

    #[test]
    fn a_long_value_leaves_room_for_the_cause() {
        let value = "x".repeat(10_000);
        let message = bad_value(&value, &HopsError::TooMany);
        assert!(
            message.ends_with("...\": more than 16 prefixes"),
            "{message}"
        );
        assert!(message.len() < 256);
    }
}
