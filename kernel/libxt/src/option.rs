// SPDX-License-Identifier: GPL-2.0

//! The option `--allow-hops`: from the command line into the bytes of the rule.

use crate::bindings;
use crate::error::raise;
use crate::error::Message;
use crate::error::Problem;
use libxt_glbredirect::info;
use libxt_glbredirect::text;
use libxt_glbredirect::AllowedHops;
use std::ffi::CStr;
use std::ffi::CString;

/// The table of options, which both revisions have; the end of the table is an entry without a name.
///
/// It lives for ever: libxtables keeps the pointers.
pub(crate) fn table() -> &'static [bindings::xt_option_entry; 2] {
    let name = CString::new(text::ALLOW_HOPS).expect("the name of the option has no zero byte");
    Box::leak(Box::new([
        bindings::xt_option_entry {
            name: name.into_raw(),
            type_: bindings::xt_option_type_XTTYPE_STRING,
            // No flags: it cannot be inverted, nor given twice, nor stored by libxtables itself.
            ..Default::default()
        },
        bindings::xt_option_entry::default(),
    ]))
}

/// `x6_parse` of revision 1.
///
/// # Safety
///
/// Only libxtables calls this, while it parses an option of a target of revision 1.
pub(crate) unsafe extern "C" fn parse_revision_1(call: *mut bindings::xt_option_call) {
    // SAFETY: The call is the one that libxtables made for this option. If the option is inverted or was
    // there before, this does not return; no value of this frame needs dropping.
    unsafe { bindings::xtables_option_parse(call) };
    // SAFETY: libxtables has the call on its stack until this callback returns, and nobody else looks at
    // it meanwhile.
    let call = unsafe { &*call };
    // SAFETY: An option with an argument has one: getopt has refused the rule otherwise. It is a string of
    // the command line or of the line that iptables-restore read, and outlives the callback.
    let value = unsafe { CStr::from_ptr(call.arg) };
    match read(value) {
        Ok(bytes) => {
            // SAFETY: `data` is the data of the rule. For revision 1, libxtables has allocated the
            // `size` that register.rs gave it, which is at least `info::layout::SIZE`, and nobody has
            // a reference to it. Bytes have no alignment.
            unsafe { call.data.cast::<info::Bytes>().write(bytes) };
        }
        Err(message) => raise(Problem::Parameter, message),
    }
}

/// All the work with values that have destructors; they are gone when it returns.
fn read(value: &CStr) -> Result<info::Bytes, Message> {
    // What is not UTF-8 is not an address either, and the replacement keeps the rest readable.
    let value = value.to_string_lossy();
    match value.parse::<AllowedHops>() {
        Ok(hops) => Ok(info::encode(&hops)),
        Err(cause) => Err(Message::new(&text::bad_value(&value, &cause))),
    }
}

/// `x6_parse` of revision 0, whose rules have no room for an option.
///
/// libxtables got here since the kernel has no revision 1. "Unknown option" would send the operator to
/// look for a newer iptables, so this says what is really missing.
pub(crate) extern "C" fn parse_revision_0(_call: *mut bindings::xt_option_call) {
    raise(Problem::Parameter, revision_0_message())
}

fn revision_0_message() -> Message {
    Message::new(&text::option_needs_newer_kernel())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends() {
        let [option, end] = table();
        assert!(!option.name.is_null());
        assert!(end.name.is_null());
    }

    #[test]
    fn a_value_becomes_bytes() {
        let bytes = read(c"10.0.0.0/8,fd00::/8").ok().expect("a good value");
        let hops = info::decode(&bytes).expect("our own bytes");
        assert_eq!(hops.to_string(), "10.0.0.0/8,fd00::/8");
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert!(read(c"\xff\xfe").is_err());
        assert!(read(c"").is_err());
    }
}
