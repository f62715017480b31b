// SPDX-License-Identifier: GPL-2.0

//! The safe crate writes the kernel's structure byte by byte. Here the compiler compares its numbers with
//! the C header, so that the two cannot part.

use crate::bindings::xt_glbredirect_info as Info;
use crate::bindings::xt_glbredirect_prefix as Prefix;
use crate::bindings::XT_GLBREDIRECT_MAX_PREFIXES;
use libxt_glbredirect::info::layout;
use libxt_glbredirect::AllowedHops;
use std::mem::offset_of;

const _: () = {
    assert!(AllowedHops::MAX == XT_GLBREDIRECT_MAX_PREFIXES as usize);
    assert!(layout::SIZE == size_of::<Info>());
    assert!(layout::FLAGS == offset_of!(Info, flags));
    assert!(layout::NUM_PREFIXES == offset_of!(Info, num_prefixes));
    assert!(layout::PREFIXES == offset_of!(Info, prefixes));
    assert!(layout::PREFIX_SIZE == size_of::<Prefix>());
    assert!(layout::PREFIX_FAMILY == offset_of!(Prefix, family));
    assert!(layout::PREFIX_LEN == offset_of!(Prefix, prefix_len));
    assert!(layout::PREFIX_PAD == offset_of!(Prefix, pad));
    assert!(layout::PREFIX_ADDR == offset_of!(Prefix, addr));
};
