// SPDX-License-Identifier: GPL-2.0

//! The options: from the command line into the bytes of the rule.
//!
//! libxtables hands them over one by one, and keeps the rule between them. So each reads what those before it have left.

use crate::bindings;
use crate::error::raise;
use crate::error::Message;
use crate::error::Problem;
use libxt_glbredirect::info;
use libxt_glbredirect::text;
use libxt_glbredirect::Opt;
use libxt_glbredirect::Rule;
use std::ffi::c_void;
use std::ffi::CStr;
use std::ffi::CString;

/// How many options there are, and the entry without a name that ends the table.
const ENTRIES: usize = Opt::ALL.len() + 1;

/// The table of options, which all revisions have, so that each can say what it lacks. An option's id is its place.
///
/// It lives for ever: libxtables keeps the pointers.
pub(crate) fn table() -> &'static [bindings::xt_option_entry; ENTRIES] {
    let mut table = Box::new([bindings::xt_option_entry::default(); ENTRIES]);
    for (id, (entry, option)) in (0..).zip(table.iter_mut().zip(Opt::ALL)) {
        let name = CString::new(option.name()).expect("the name of an option has no zero byte");
        entry.name = name.into_raw();
        entry.id = id;
        entry.type_ = if option.takes_value() {
            bindings::xt_option_type_XTTYPE_STRING
        } else {
            bindings::xt_option_type_XTTYPE_NONE
        };
        // No flags: it cannot be inverted, nor given twice, nor stored by libxtables itself.
    }
    Box::leak(table)
}

/// `x6_parse` of a revision.
///
/// # Safety
///
/// Only libxtables calls this, while it parses an option of a target of revision `REVISION`.
pub(crate) unsafe extern "C" fn parse<const REVISION: u8>(call: *mut bindings::xt_option_call) {
    // SAFETY: The call is the one that libxtables made for this option. If the option is inverted or was
    // there before, this does not return; no value of this frame needs dropping.
    unsafe { bindings::xtables_option_parse(call) };
    // SAFETY: libxtables has the call on its stack until this callback returns, and nobody else looks at
    // it meanwhile.
    let call = unsafe { &*call };
    // SAFETY: The entry is one of the table above, which lives for ever and is not written to.
    let id = unsafe { (*call.entry).id };
    let option = Opt::ALL[id as usize];
    if REVISION < option.since_revision() {
        raise(Problem::Parameter, needs_newer::<REVISION>(option));
    }
    let value = if option.takes_value() {
        // SAFETY: An option with an argument has one: getopt has refused the rule otherwise. It is a string of
        // the command line or of the line that iptables-restore read, and outlives the callback.
        unsafe { CStr::from_ptr(call.arg) }
    } else {
        c""
    };
    // SAFETY: `data` is the data of the rule, of a revision that has the option, so it is not revision 0.
    let stored = unsafe { store::<REVISION>(call.data, option, value) };
    if let Err(message) = stored {
        raise(Problem::Parameter, message);
    }
}

/// Takes an option into the data of a rule.
///
/// # Safety
///
/// `data` must be the data of a rule of revision 1 or 2, as large as register.rs told libxtables.
unsafe fn store<const REVISION: u8>(
    data: *mut c_void,
    option: Opt,
    value: &CStr,
) -> Result<(), Message> {
    if REVISION == 1 {
        let data = data.cast::<info::Bytes>();
        // SAFETY: The caller vouches for the size, which is at least `info::layout::SIZE`. libxtables has allocated and
        // cleared the data, and nobody has a reference to it. Bytes have no alignment.
        let before = unsafe { data.read() };
        let after = with_1(&before, option, value)?;
        // SAFETY: As above.
        unsafe { data.write(after) };
    } else {
        let data = data.cast::<info::Bytes2>();
        // SAFETY: As above, with `info::layout_2::SIZE`.
        let before = unsafe { data.read() };
        let after = with_2(&before, option, value)?;
        // SAFETY: As above.
        unsafe { data.write(after) };
    }
    Ok(())
}

/// The bytes of revision 1 with an option more. What has a destructor is gone when it returns.
fn with_1(before: &info::Bytes, option: Opt, value: &CStr) -> Result<info::Bytes, Message> {
    let hops = info::decode(before).map_err(|cause| Message::new(&text::unreadable(&cause)))?;
    let rule = Rule {
        hops,
        ..Rule::default()
    };
    with(rule, option, value).map(|rule| info::encode(&rule.hops))
}

/// The bytes of revision 2 with an option more.
fn with_2(before: &info::Bytes2, option: Opt, value: &CStr) -> Result<info::Bytes2, Message> {
    let rule = info::decode_2(before).map_err(|cause| Message::new(&text::unreadable(&cause)))?;
    with(rule, option, value).map(|rule| info::encode_2(&rule))
}

fn with(mut rule: Rule, option: Opt, value: &CStr) -> Result<Rule, Message> {
    // What is not UTF-8 is neither an address nor a name, and the replacement keeps the rest readable.
    let value = value.to_string_lossy();
    match rule.set(option, &value) {
        Ok(()) => Ok(rule),
        Err(cause) => Err(Message::new(&text::bad_value(option, &value, &cause))),
    }
}

/// libxtables chose this revision since the kernel has no newer one. "Unknown option" would send the operator to
/// look for a newer iptables, so this says what is really missing.
fn needs_newer<const REVISION: u8>(option: Opt) -> Message {
    Message::new(&text::option_needs_newer_kernel(option, REVISION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_options_and_ends() {
        let [options @ .., end] = table();
        for (entry, option) in options.iter().zip(Opt::ALL) {
            // SAFETY: The name is a string that is never freed.
            let name = unsafe { CStr::from_ptr(entry.name) };
            assert_eq!(name.to_str(), Ok(option.name()));
            assert_eq!(Opt::ALL[entry.id as usize], option);
        }
        assert!(end.name.is_null());
    }

    #[test]
    fn options_become_bytes_one_after_the_other() {
        let mut bytes = [0; info::layout_2::SIZE];
        for (option, value) in [
            (Opt::Netns, c"web,b"),
            (Opt::SynListener, c""),
            (Opt::AllowHops, c"10.0.0.0/8,fd00::/8"),
        ] {
            bytes = with_2(&bytes, option, value).ok().expect("a good value");
        }
        let rule = info::decode_2(&bytes).expect("our own bytes");
        assert_eq!(
            text::save(&rule),
            " --allow-hops 10.0.0.0/8,fd00::/8 --syn-listener --netns web,b"
        );
    }

    #[test]
    fn revision_1_has_prefixes() {
        let none = [0; info::layout::SIZE];
        let bytes = with_1(&none, Opt::AllowHops, c"10.0.0.0/8")
            .ok()
            .expect("a good value");
        let hops = info::decode(&bytes).expect("our own bytes");
        assert_eq!(hops.to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let none = [0; info::layout_2::SIZE];
        for option in [Opt::AllowHops, Opt::Netns] {
            assert!(with_2(&none, option, c"\xff\xfe").is_err());
            assert!(with_2(&none, option, c"").is_err());
        }
    }
}
