// SPDX-License-Identifier: GPL-2.0

//! The first door: the iptables target GLBREDIRECT.

#![forbid(unsafe_code)]

use crate::policy::Policy;
use crate::redirect::redirect;
use crate::state::State;
use glb_core::packet::ip::proto;
use glb_kernel::front::hook::{Hook, Outcome};
use glb_kernel::front::xt_glbredirect::{Revision1, Revision2};
use glb_kernel::front::xtables::{self, Rule};
use glb_kernel::packet::skb::Skb;
use kernel::prelude::*;

/// The target.
pub(crate) struct Target;

impl xtables::Target for Target {
    const NAME: &'static [u8] = b"GLBREDIRECT";
    const PROTO: u8 = proto::UDP;

    type State = State;
    type Revision1 = Revision1;
    type Revision2 = Revision2;

    fn prepare(state: &State, _: Rule<'_, Self>) -> Result {
        state.routes().prepare()
    }

    #[inline]
    fn handle<'a>(
        state: &State,
        hook: &Hook<'_>,
        skb: Skb<'a>,
        rule: Rule<'_, Self>,
    ) -> Outcome<'a> {
        let policy = match rule {
            Rule::Revision0 => Policy::Revision0,
            Rule::Revision1(rule) => Policy::Revision1(rule),
            Rule::Revision2(rule) => Policy::Revision2(rule),
        };
        redirect(state, hook, skb, policy)
    }
}
