// SPDX-License-Identifier: GPL-2.0

//! Writing to the standard output of the program, in order with what the program itself writes.

use crate::bindings;

/// Appends `text` to C's `stdout`. As with the `printf` of other extensions, whether it got through is
/// for the program to find out when it flushes.
pub(crate) fn write(text: &str) {
    // SAFETY: C defines `stdout` before any code of this process ran, and no program that loads
    // extensions assigns to it while a callback runs, since none has threads.
    let stdout = unsafe { bindings::stdout };
    // SAFETY: The bytes of `text` are readable for its length, and `fwrite` keeps no pointer to them.
    // `stdout` is an open stream for as long as the process is.
    unsafe { bindings::fwrite(text.as_ptr().cast(), 1, text.len() as _, stdout) };
}
