// SPDX-License-Identifier: GPL-2.0

//! From the bytes of a rule to what iptables shows and saves; and the help.

use crate::bindings::xt_entry_target;
use crate::error::raise;
use crate::error::Message;
use crate::error::Problem;
use crate::output;
use libxt_glbredirect::info;
use libxt_glbredirect::info::InfoError;
use libxt_glbredirect::text;
use libxt_glbredirect::Rule;
use std::ffi::c_int;
use std::ffi::c_void;
use std::mem::offset_of;
use std::slice;

/// `help`: for `iptables -j GLBREDIRECT -h`.
pub(crate) extern "C" fn help() {
    output::write(text::HELP);
}

/// `print`: for `iptables -L`.
///
/// # Safety
///
/// `target` is a target of a rule, with its data behind it.
pub(crate) unsafe extern "C" fn print(
    _ip: *const c_void,
    target: *const xt_entry_target,
    _numeric: c_int,
) {
    // SAFETY: The same is asked of the caller.
    let rule = unsafe { rule_of(target) };
    output::write(&match rule {
        Ok(rule) => text::print(&rule),
        Err(cause) => text::print_unreadable(&cause),
    });
}

/// `save`: for `iptables -S` and `iptables-save`.
///
/// # Safety
///
/// `target` is a target of a rule, with its data behind it.
pub(crate) unsafe extern "C" fn save(_ip: *const c_void, target: *const xt_entry_target) {
    // SAFETY: The same is asked of the caller.
    let written = unsafe { write_saved(target) };
    if let Err(message) = written {
        raise(Problem::Other, message);
    }
}

/// All the work of [`save`] with values that have destructors; they are gone when it returns.
///
/// # Safety
///
/// `target` is a target of a rule, with its data behind it.
unsafe fn write_saved(target: *const xt_entry_target) -> Result<(), Message> {
    // SAFETY: The same is asked of the caller.
    match unsafe { rule_of(target) } {
        Ok(rule) => {
            output::write(&text::save(&rule));
            Ok(())
        }
        Err(cause) => Err(Message::new(&text::save_unreadable(&cause))),
    }
}

/// What a rule says.
///
/// A rule stays of its revision when a newer plugin lists it. Its head says which one that is, but iptables-nft (seen in 1.8.11)
/// gives every rule the newest revision of the plugin there. What it does not change is the length of the data, and no two
/// revisions have data of the same length. So the length decides, and the head only says what was expected.
///
/// # Safety
///
/// `target` is a target of a rule, with its data behind it.
unsafe fn rule_of(target: *const xt_entry_target) -> Result<Rule, InfoError> {
    // SAFETY: The caller gives a target, whose head is readable and does not change during a callback.
    let head = unsafe { &(*target).u };
    // SAFETY: All members of the union begin with the size, and the program fills in the one for userspace.
    let user = unsafe { &head.user };
    if user.revision == 0 {
        return Ok(Rule::default());
    }
    const DATA: usize = offset_of!(xt_entry_target, data);
    let len = usize::from(user.target_size).saturating_sub(DATA);
    // SAFETY: The data begins there, inside or one past the end of the target, since a target has a whole head.
    let data = unsafe { target.cast::<u8>().add(DATA) };
    // SAFETY: `target_size` counts the head and the data, all of which is readable and does not change
    // during a callback. Bytes have no alignment.
    let data = unsafe { slice::from_raw_parts(data, len) };
    match (user.revision, len) {
        (_, 0) => Ok(Rule::default()),
        (1, _) | (_, info::layout::SIZE) => info::decode(data).map(|hops| Rule {
            hops,
            ..Rule::default()
        }),
        _ => info::decode_2(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use libxt_glbredirect::Opt;

    const HEAD: usize = size_of::<xt_entry_target>();

    /// A rule as libxtables lays it out.
    #[repr(C)]
    struct Laid {
        target: xt_entry_target,
        data: info::Bytes2,
    }

    fn laid(revision: u8, target_size: usize, data: &[u8]) -> Laid {
        let mut target = xt_entry_target::default();
        target.u.user.target_size = u16::try_from(target_size).expect("a small size");
        target.u.user.revision = revision;
        let mut room = [0; info::layout_2::SIZE];
        room[..data.len()].copy_from_slice(data);
        Laid { target, data: room }
    }

    fn rule() -> Rule {
        let mut rule = Rule::default();
        rule.set(Opt::AllowHops, "10.0.0.0/8,fd00::/8")
            .expect("good prefixes");
        rule
    }

    fn read(laid: &Laid) -> Result<Rule, InfoError> {
        // SAFETY: The pointer is to the whole rule, whose data follows the head as `target_size` says or
        // is longer.
        unsafe { rule_of((&raw const *laid).cast()) }
    }

    #[test]
    fn revision_2_is_read() {
        let mut rule = rule();
        rule.set(Opt::Netns, "web").expect("a name");
        rule.set(Opt::Udp, "").expect("a flag");
        let laid = laid(2, size_of::<Laid>(), &info::encode_2(&rule));
        assert_eq!(read(&laid), Ok(rule));
    }

    #[test]
    fn revision_1_is_read() {
        let laid = laid(1, HEAD + info::layout::SIZE, &info::encode(&rule().hops));
        assert_eq!(read(&laid), Ok(rule()));
    }

    #[test]
    fn revision_0_has_no_data() {
        let laid = laid(0, HEAD, &info::encode(&rule().hops));
        assert_eq!(read(&laid), Ok(Rule::default()));
    }

    #[test]
    fn rules_of_older_revisions_are_read_though_their_heads_say_the_newest() {
        let data = info::encode(&rule().hops);
        assert_eq!(read(&laid(2, HEAD + info::layout::SIZE, &data)), Ok(rule()));
        assert_eq!(read(&laid(2, HEAD, &data)), Ok(Rule::default()));
    }

    #[test]
    fn a_rule_that_is_too_short_is_not_read() {
        let short = |revision, target_size| {
            let data = info::encode(&rule().hops);
            match read(&laid(revision, target_size, &data)) {
                Err(InfoError::Short { len, .. }) => len,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(short(1, 40), 8);
        assert_eq!(
            short(2, HEAD + info::layout::SIZE - 8),
            info::layout::SIZE - 8
        );
    }
}
