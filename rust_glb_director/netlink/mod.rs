// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `glb`, as `spec/glb.yaml` describes it.
//!
//! ```text
//! load      table-begin, table-add, bind-add, row-set, class-set, table-commit, table-abort
//! inspect   table-get, bind-get, row-get, lookup, stats-get, backend-stats-get, status-get
//! config    config-set, config-get
//! features  features-get
//! device    attach, detach, device-get
//! flows     flow-get, flow-flush
//! geneve    geneve-stats-get, geneve-flow-get, geneve-endpoint-get
//! ```
//!
//! A command changes all that it is to change, or nothing.

#![forbid(unsafe_code)]

mod config;
mod device;
mod features;
mod flows;
mod geneve;
mod inspect;
mod load;

use crate::state::State;
use glb_core::netlink::glb as netlink;
use glb_kernel::genl::{self, Operation};

pub(crate) use device::notify_detached;
pub(crate) use load::DropLoads;

/// A request to the family.
type Request<'a> = genl::Request<'a, State>;

/// The family.
pub(crate) struct Family;

impl genl::Family for Family {
    type State = State;
    const NAME: &'static str = netlink::FAMILY;
    const VERSION: u32 = netlink::VERSION as u32;
    const GROUP: &'static str = netlink::EVENTS;
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::command::<load::TableBegin>(),
        Operation::command::<load::TableAdd>(),
        Operation::command::<load::BindAdd>(),
        Operation::command::<load::RowSet>(),
        Operation::command::<load::TableCommit>(),
        Operation::command::<load::TableAbort>(),
        Operation::command::<inspect::TableGet>(),
        Operation::dump::<inspect::TableGet>(),
        Operation::dump::<inspect::BindGet>(),
        Operation::command::<inspect::RowGet>(),
        Operation::dump::<inspect::RowGet>(),
        Operation::command::<inspect::Lookup>(),
        Operation::command::<config::ConfigSet>(),
        Operation::command::<config::ConfigGet>(),
        Operation::command::<device::Attach>(),
        Operation::command::<device::Detach>(),
        Operation::dump::<device::DeviceGet>(),
        Operation::command::<inspect::StatsGet>(),
        Operation::dump::<inspect::StatsGet>(),
        Operation::command::<inspect::StatusGet>(),
        Operation::command::<features::FeaturesGet>(),
        Operation::dump::<flows::FlowGet>(),
        Operation::command::<flows::FlowFlush>(),
        Operation::dump::<inspect::BackendStatsGet>(),
        Operation::command::<geneve::StatsGet>(),
        Operation::dump::<geneve::FlowGet>(),
        Operation::dump::<geneve::EndpointGet>(),
        Operation::command::<load::ClassSet>(),
    ];
}
