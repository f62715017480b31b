// SPDX-License-Identifier: GPL-2.0

//! The safe crate writes the kernel's structure byte by byte. Here the compiler compares its numbers with
//! the C header, so that the two cannot part.

use crate::bindings::xt_glbredirect_info as Info;
use crate::bindings::xt_glbredirect_info_2 as Info2;
use crate::bindings::xt_glbredirect_prefix as Prefix;
use crate::bindings::XT_GLBREDIRECT_CONNTRACK;
use crate::bindings::XT_GLBREDIRECT_MAX_NAMESPACES;
use crate::bindings::XT_GLBREDIRECT_MAX_PREFIXES;
use crate::bindings::XT_GLBREDIRECT_NAMESPACE_SIZE;
use crate::bindings::XT_GLBREDIRECT_SYN_LISTENER;
use crate::bindings::XT_GLBREDIRECT_UDP;
use libxt_glbredirect::info::layout;
use libxt_glbredirect::info::layout_2;
use libxt_glbredirect::AllowedHops;
use libxt_glbredirect::Namespaces;
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

    assert!(Namespaces::MAX == XT_GLBREDIRECT_MAX_NAMESPACES as usize);
    assert!(layout_2::NAMESPACE_SIZE == XT_GLBREDIRECT_NAMESPACE_SIZE as usize);
    assert!(layout_2::SYN_LISTENER == XT_GLBREDIRECT_SYN_LISTENER);
    assert!(layout_2::UDP == XT_GLBREDIRECT_UDP);
    assert!(layout_2::CONNTRACK == XT_GLBREDIRECT_CONNTRACK);
    assert!(layout_2::SIZE == size_of::<Info2>());
    assert!(layout::FLAGS == offset_of!(Info2, flags));
    assert!(layout::NUM_PREFIXES == offset_of!(Info2, num_prefixes));
    assert!(layout::PREFIXES == offset_of!(Info2, prefixes));
    assert!(layout_2::NUM_NAMESPACES == offset_of!(Info2, num_namespaces));
    assert!(layout_2::PAD == offset_of!(Info2, pad));
    assert!(layout_2::NAMESPACES == offset_of!(Info2, namespaces));
    assert!(layout_2::OWN == offset_of!(Info2, own));
};
