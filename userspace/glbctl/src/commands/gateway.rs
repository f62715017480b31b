// SPDX-License-Identifier: GPL-2.0

//! What a device with the role geneve is told: in director.conf, on the command line, in the kernel; and how it is shown.

use crate::text::addr;
use glb_config::gateway::Gateway as Told;
use glb_core::packet::addr::Addr;
use glb_netlink::{Gateway, Prefix};
use serde::Serialize;
use std::io::{self, Write};

/// As director.conf has it: this list can stand there as "geneve".
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GatewayView {
    device: String,
    port: u16,
    class: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_from: Vec<String>,
    pass: bool,
    strict: bool,
    max_flows: u32,
    idle: u16,
    tcp_idle: u16,
}

impl From<&Told> for GatewayView {
    fn from(told: &Told) -> Self {
        let prefix = |&(address, bits): &(Addr, u8)| {
            let network: Addr = address.masked(bits);
            format!("{}/{bits}", addr(network))
        };
        Self {
            device: told.device.clone(),
            port: told.port,
            class: format!("0x{:04x}", told.class),
            allow_from: told.allow_from.iter().map(prefix).collect(),
            pass: told.pass,
            strict: told.strict,
            max_flows: told.max_flows,
            idle: told.idle,
            tcp_idle: told.tcp_idle,
        }
    }
}

impl GatewayView {
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let senders = match &*self.allow_from {
            [] => "any sender".to_owned(),
            prefixes => format!("senders in {}", prefixes.join(", ")),
        };
        let mode = match self.pass {
            true => "packets without a socket here are passed on",
            false => "packets without a socket here are dropped",
        };
        let strict = match self.strict {
            true => "; strict",
            false => "",
        };
        writeln!(
            out,
            "{}  UDP port {}, class {}, {senders}; {mode}{strict}; {} flows, idle {} s, TCP {} s",
            self.device, self.port, self.class, self.max_flows, self.idle, self.tcp_idle
        )
    }
}

/// What the module makes of what it is sent: what is not there is as it has it.
pub(crate) fn complete(device: &str, sent: &Gateway) -> Told {
    let plain = Told::new(device);
    Told {
        port: sent.port.unwrap_or(plain.port),
        class: sent.class.unwrap_or(plain.class),
        allow_from: sent
            .allow_from
            .iter()
            .map(|prefix| (prefix.addr.masked(prefix.len), prefix.len))
            .collect(),
        pass: sent.pass,
        strict: sent.strict,
        max_flows: sent.max_flows.unwrap_or(plain.max_flows),
        idle: sent.idle.unwrap_or(plain.idle),
        tcp_idle: sent.tcp_idle.unwrap_or(plain.tcp_idle),
        ..plain
    }
}

/// What the module is sent of it.
pub(crate) fn sent(told: &Told) -> Gateway {
    let prefix = |&(addr, len): &(Addr, u8)| Prefix { addr, len };
    Gateway {
        port: Some(told.port),
        class: Some(told.class),
        allow_from: told.allow_from.iter().map(prefix).collect(),
        pass: told.pass,
        strict: told.strict,
        max_flows: Some(told.max_flows),
        idle: Some(told.idle),
        tcp_idle: Some(told.tcp_idle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_stand_in_the_file() {
        let mut told = Told::new("eth0");
        told.allow_from = vec![
            (Addr::V4([192, 168, 40, 7]), 24),
            (Addr::V6([0xfd; 16]), 128),
        ];
        told.strict = true;
        told.tcp_idle = 6000;
        let view = GatewayView::from(&told);
        let file = serde_json::json!({ "geneve": [view] }).to_string();
        let read = glb_config::director::read("d", &file);
        assert!(read.issues.is_empty(), "{:?}", read.issues);
        let gateways = read.value.and_then(|read| read.gateways).unwrap();
        assert_eq!(
            gateways.iter().map(GatewayView::from).collect::<Vec<_>>(),
            [view]
        );
    }

    #[test]
    fn what_is_sent_comes_back() {
        assert_eq!(complete("eth0", &Gateway::default()), Told::new("eth0"));
        let mut told = Told::new("eth0");
        told.allow_from = vec![(Addr::V4([10, 0, 0, 0]), 8)];
        (told.port, told.class, told.pass) = (6082, 0x0167, true);
        (told.max_flows, told.idle, told.tcp_idle) = (1, 2, 3);
        assert_eq!(complete("eth0", &sent(&told)), told);
    }
}
