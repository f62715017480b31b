// SPDX-License-Identifier: GPL-2.0

//! Ending the program with an error, as every extension does.

use crate::bindings;
use std::ffi::CStr;
use std::ffi::CString;
use std::mem::needs_drop;

/// An error text that stays for ever, so that nobody has to free it: the process ends with it.
#[derive(Clone, Copy)]
pub(crate) struct Message(&'static CStr);

impl Message {
    /// Keeps `text` up to its first zero byte, if it has one.
    pub(crate) fn new(text: &str) -> Self {
        let text: Vec<u8> = text.bytes().take_while(|&byte| byte != 0).collect();
        let text = CString::new(text).unwrap_or_default();
        Self(Box::leak(text.into_boxed_c_str()))
    }
}

/// What is wrong, which decides the exit status and whether iptables points to its help.
#[derive(Clone, Copy)]
pub(crate) enum Problem {
    /// The words of the rule.
    Parameter,
    /// Anything else.
    Other,
}

/// Calls `xtables_error`: prints the message after the program's name and ends the program.
///
/// # Calling this with nothing pending
///
/// Destructors of the callers are not run. The callers are the `extern "C"` callbacks of this crate, each of
/// which calls this as its last act and holds no value with a destructor; this function holds none either.
/// The frame below that of the callback belongs to libxtables, which expects it.
pub(crate) fn raise(problem: Problem, message: Message) -> ! {
    const {
        assert!(!needs_drop::<Message>());
        assert!(!needs_drop::<Problem>());
    }
    let status = match problem {
        Problem::Parameter => bindings::xtables_exittype_PARAMETER_PROBLEM,
        Problem::Other => bindings::xtables_exittype_OTHER_PROBLEM,
    };
    // SAFETY: libxtables defines this pointer, and only `xtables_set_params` writes it, which a program
    // calls before it loads extensions. Neither libxtables nor its programs have threads.
    let params = unsafe { bindings::xt_params };
    // SAFETY: libxtables' initial value of the pointer is NULL (then this is `None`), and
    // `xtables_set_params` stores nothing but the address of the program's global structure.
    let params = unsafe { params.as_ref() };
    if let Some(exit_err) = params.and_then(|params| params.exit_err) {
        // SAFETY: `exit_err` is the program's own function, of the type that <xtables.h> declares. The
        // format takes one string, and one string is given, which ends in a zero byte and is never freed.
        // Nothing that needs dropping is alive here (see above).
        unsafe { exit_err(status, c"%s".as_ptr(), message.0.as_ptr()) };
    }
    // Not reached: there are parameters whenever an option is parsed, and `exit_err` does not return.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept() {
        assert_eq!(Message::new("").0, c"");
        assert_eq!(Message::new("GLBREDIRECT: no").0, c"GLBREDIRECT: no");
        assert_eq!(Message::new("cut\0here").0, c"cut");
    }
}
