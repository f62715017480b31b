// SPDX-License-Identifier: GPL-2.0

//! The first door: the iptables target GLBREDIRECT.

#![forbid(unsafe_code)]

use crate::redirect::{redirect, Allowed};
use crate::state::State;
use glb_core::packet::ip::proto;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::xt_glbredirect::Options;
use glb_kernel::front::xtables;
use glb_kernel::packet::skb::Skb;
use kernel::prelude::*;

/// The target.
pub(crate) struct Target;

impl xtables::Target for Target {
    const NAME: &'static [u8] = b"GLBREDIRECT";
    const PROTO: u8 = proto::UDP;

    type State = State;
    type Options = Options;

    fn prepare(state: &State) -> Result {
        state.routes().prepare()
    }

    #[inline]
    fn handle<'a>(
        state: &State,
        hook: &Hook<'_>,
        skb: Skb<'a>,
        options: Option<&Options>,
    ) -> Outcome<'a> {
        redirect(state, hook, skb, Allowed::ByRule(options))
    }
}
