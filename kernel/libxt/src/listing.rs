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
use libxt_glbredirect::AllowedHops;
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
    let hops = unsafe { hops_of(target) };
    output::write(&match hops {
        Ok(hops) => text::print(&hops),
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
    match unsafe { hops_of(target) } {
        Ok(hops) => {
            output::write(&text::save(&hops));
            Ok(())
        }
        Err(cause) => Err(Message::new(&text::save_unreadable(&cause))),
    }
}

/// The hops that a rule allows.
///
/// The rule says itself of which revision it is. That counts, not the revision that libxtables has chosen
/// for new rules: a rule of revision 0 stays one when a newer plugin lists it.
///
/// # Safety
///
/// `target` is a target of a rule, with its data behind it.
unsafe fn hops_of(target: *const xt_entry_target) -> Result<AllowedHops, InfoError> {
    // SAFETY: The caller gives a target, whose head is readable and does not change during a callback.
    let head = unsafe { &(*target).u };
    // SAFETY: All members of the union begin with the size, and the program fills in the one for userspace.
    let user = unsafe { &head.user };
    if user.revision == 0 {
        return Ok(AllowedHops::default());
    }
    const DATA: usize = offset_of!(xt_entry_target, data);
    let len = usize::from(user.target_size).saturating_sub(DATA);
    // SAFETY: The data begins there, inside or one past the end of the target, since a target has a whole head.
    let data = unsafe { target.cast::<u8>().add(DATA) };
    // SAFETY: `target_size` counts the head and the data, all of which is readable and does not change
    // during a callback. Bytes have no alignment.
    let data = unsafe { slice::from_raw_parts(data, len) };
    info::decode(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule as libxtables lays it out.
    #[repr(C)]
    struct Rule {
        target: xt_entry_target,
        data: info::Bytes,
    }

    fn rule(revision: u8, target_size: usize, option: &str) -> Rule {
        let mut target = xt_entry_target::default();
        target.u.user.target_size = u16::try_from(target_size).expect("a small size");
        target.u.user.revision = revision;
        let data = info::encode(&option.parse().expect("a good list"));
        Rule { target, data }
    }

    fn read(rule: &Rule) -> Result<String, InfoError> {
        // SAFETY: The pointer is to the whole rule, whose data follows the head as `target_size` says or
        // is longer.
        let hops = unsafe { hops_of((&raw const *rule).cast()) };
        hops.map(|hops| hops.to_string())
    }

    #[test]
    fn revision_1_is_read() {
        let rule = rule(1, size_of::<Rule>(), "10.0.0.0/8,fd00::/8");
        assert_eq!(read(&rule), Ok("10.0.0.0/8,fd00::/8".into()));
    }

    #[test]
    fn revision_0_has_no_data() {
        assert_eq!(
            read(&rule(0, size_of::<xt_entry_target>(), "10.0.0.0/8")),
            Ok(String::new())
        );
    }

    #[test]
    fn a_rule_that_is_too_short_is_not_read() {
        assert_eq!(
            read(&rule(1, 40, "10.0.0.0/8")),
            Err(InfoError::Short { len: 8 })
        );
        assert_eq!(
            read(&rule(1, 0, "10.0.0.0/8")),
            Err(InfoError::Short { len: 0 })
        );
    }
}
