// SPDX-License-Identifier: GPL-2.0

//! What was published of the backends' health.

use std::collections::HashMap;
use std::net::IpAddr;

/// Whether backends of tables were published as healthy.
pub(crate) type Known = HashMap<(String, IpAddr), bool>;
