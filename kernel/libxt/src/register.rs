// SPDX-License-Identifier: GPL-2.0

//! Making the target known when libxtables loads this library.

use crate::bindings;
use crate::bindings::xt_glbredirect_info;
use crate::bindings::xt_glbredirect_info_2;
use crate::bindings::xtables_target;
use crate::listing;
use crate::option;
use libxt_glbredirect::info::layout_2;

/// The name of the target, for C.
const NAME: &std::ffi::CStr = c"GLBREDIRECT";

/// What the dynamic linker calls when the library is loaded.
#[cfg(not(test))]
#[used]
// SAFETY: The linker takes the entries of this section for pointers to functions of C that take (argc, argv,
// envp), which a function without parameters may ignore. libxtables and libc, which `register` uses, are
// needed by this library and so are initialised before it.
#[unsafe(link_section = ".init_array")]
static REGISTER: extern "C" fn() = register;

/// How many of the revisions there are; tests make plugins like older ones, which have fewer.
const REVISIONS: u32 = if cfg!(feature = "only_revision_0") {
    1
} else if cfg!(feature = "only_revision_1") {
    2
} else {
    3
};

/// Gives libxtables the revisions; it takes the highest one that the kernel has.
extern "C" fn register() {
    // libxtables links the targets into its lists and writes to them for as long as the process lives.
    let targets = Box::leak(Box::new([revision_0(), revision_1(), revision_2()]));
    // SAFETY: The array has at least `REVISIONS` elements and is never freed, nor used here again. Version and sizes come
    // from the headers that this library is built with.
    unsafe { bindings::xtables_register_targets(targets.as_mut_ptr(), REVISIONS) };
}

/// What the deployed module knows: a rule without bytes.
fn revision_0() -> xtables_target {
    xtables_target {
        revision: 0,
        size: xt_align(0),
        userspacesize: xt_align(0),
        x6_parse: Some(option::parse::<0>),
        ..all_revisions()
    }
}

/// What the first `rust_glb_redirect` knows: a rule with `struct xt_glbredirect_info`.
fn revision_1() -> xtables_target {
    let size = xt_align(size_of::<xt_glbredirect_info>());
    xtables_target {
        revision: 1,
        size,
        // The kernel writes nothing of its own into the structure, so all of it counts in a comparison.
        userspacesize: size,
        x6_parse: Some(option::parse::<1>),
        ..all_revisions()
    }
}

/// What `rust_glb_redirect` knows: a rule with `struct xt_glbredirect_info_2`.
fn revision_2() -> xtables_target {
    xtables_target {
        revision: 2,
        size: xt_align(size_of::<xt_glbredirect_info_2>()),
        // Behind it are the kernel's own bytes, which no comparison looks at.
        userspacesize: layout_2::OWN,
        x6_parse: Some(option::parse::<2>),
        ..all_revisions()
    }
}

fn all_revisions() -> xtables_target {
    xtables_target {
        version: bindings::XTABLES_VERSION.as_ptr(),
        name: NAME.as_ptr(),
        // iptables and ip6tables alike; the kernel has the target for both.
        family: bindings::NFPROTO_UNSPEC as u16,
        help: Some(listing::help),
        print: Some(listing::print),
        save: Some(listing::save),
        x6_options: option::table().as_ptr(),
        // `init` has nothing to do, as libxtables clears the data of a new rule. `xlate`: see the crate.
        ..Default::default()
    }
}

/// The macro `XT_ALIGN`: sizes of data in a rule are multiples of the strictest alignment.
const fn xt_align(size: usize) -> usize {
    size.next_multiple_of(align_of::<bindings::_xt_align>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_char;
    use std::ffi::c_int;

    #[test]
    fn the_name_is_the_one_of_the_texts() {
        assert_eq!(NAME.to_str(), Ok(libxt_glbredirect::text::TARGET));
    }

    #[test]
    fn sizes_are_those_of_the_kernel() {
        assert_eq!(revision_0().size, 0);
        assert_eq!(revision_1().size, 328);
        assert_eq!(revision_2().size, 1368);
        assert_eq!(revision_2().userspacesize, 1360);
    }

    /// A kernel that has every revision.
    extern "C" fn has_all(_name: *const c_char, _revision: u8, _option: c_int) -> c_int {
        1
    }

    /// libxtables itself checks what it is given, and ends the test if it is not pleased.
    #[test]
    fn libxtables_takes_all_and_prefers_the_newest() {
        let globals = Box::leak(Box::new(bindings::xtables_globals {
            program_name: c"test".as_ptr(),
            program_version: c"0".as_ptr(),
            compat_rev: Some(has_all),
            ..Default::default()
        }));
        // SAFETY: The structure is never freed. This is the only test that calls libxtables.
        let set = unsafe { bindings::xtables_init_all(globals, bindings::NFPROTO_IPV4 as u8) };
        assert_eq!(set, 0);
        register();
        // SAFETY: libxtables has its parameters, and the name is a string that is never freed.
        let found = unsafe {
            bindings::xtables_find_target(NAME.as_ptr(), bindings::xtables_tryload_XTF_DONT_LOAD)
        };
        // SAFETY: libxtables gives NULL or one of the targets that it was given, none of which is freed.
        let found = unsafe { found.as_ref() }.expect("the target");
        assert_eq!(u32::from(found.revision), REVISIONS - 1);
    }
}
