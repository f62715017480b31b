// SPDX-License-Identifier: GPL-2.0

//! What devices with the role geneve count and remember, as metrics. Nothing where no device has the role.

use super::text::{Text, Type};
use glb_netlink::{Counters, Endpoint, Error, GatewayStats, Glb};

/// So many flows are counted one by one at most; more are estimated from them, so that a full cache costs no more.
const COUNTED: u64 = 4096;

/// What the role says.
#[derive(Debug)]
pub(super) struct Gateway {
    stats: GatewayStats,
    /// At most 64, and all others together.
    endpoints: Vec<Endpoint>,
    /// None if this program may not look at flows.
    flows: Option<u64>,
    max_flows: u64,
}

impl Gateway {
    /// Asks the module; `None` where no device has the role, or the module does not know it.
    pub(super) fn ask(glb: &mut Glb) -> Result<Option<Self>, Error> {
        // All devices share one flow cache.
        let Some((_, told)) = glb.gateways()?.pop() else {
            return Ok(None);
        };
        Ok(Some(Self {
            stats: glb.gateway_stats()?,
            endpoints: glb.gateway_endpoints()?,
            flows: Glb::open_loaded()
                .and_then(|glb| glb.count_gateway_flows(COUNTED))
                .ok(),
            max_flows: told.max_flows.unwrap_or_default().into(),
        }))
    }

    pub(super) fn write(&self, text: &mut Text) {
        let help = "Packets that came from the load balancer, and packets that left by the device, by verdict.";
        let mut family = text.family("glb_geneve_packets_total", Type::Counter, help);
        for (direction, counters) in [("came", &self.stats.came), ("left", &self.stats.left)] {
            for (verdict, value) in verdicts(counters) {
                let labels = [("direction", direction), ("verdict", verdict)];
                family.sample(&labels, value as f64);
            }
        }
        let help = "What became of the flows of packets that came.";
        let mut family = text.family("glb_geneve_flow_packets_total", Type::Counter, help);
        for (name, value) in &self.stats.flows {
            let outcome = name.strip_suffix("_flow_packets").unwrap_or(name);
            family.sample(&[("outcome", outcome)], *value as f64);
        }
        self.of_endpoints(text);
        if let Some(flows) = self.flows {
            let help = "Flows whose headers are remembered; estimated if they are many.";
            text.family("glb_geneve_flows", Type::Gauge, help)
                .sample(&[], flows as f64);
        }
        let help = "Flows for which the cache has room.";
        text.family("glb_geneve_flows_max", Type::Gauge, help)
            .sample(&[], self.max_flows as f64);
    }

    fn of_endpoints(&self, text: &mut Text) {
        type Value = fn(&Endpoint) -> [u64; 2];
        let families: [(&str, &str, Value); 2] = [
            (
                "glb_geneve_endpoint_packets_total",
                "Packets that came from each endpoint, and that went back to it.",
                |one| [one.came_packets, one.left_packets],
            ),
            (
                "glb_geneve_endpoint_bytes_total",
                "Their bytes, without the header.",
                |one| [one.came_bytes, one.left_bytes],
            ),
        ];
        for (name, help, value) in families {
            let mut family = text.family(name, Type::Counter, help);
            for one in &self.endpoints {
                let id = one.id.map(|id| format!("0x{id:016x}"));
                let id = id.as_deref().unwrap_or("others");
                for (direction, value) in ["came", "left"].into_iter().zip(value(one)) {
                    let labels = [("endpoint", id), ("direction", direction)];
                    family.sample(&labels, value as f64);
                }
            }
        }
    }
}

/// The verdicts among these counters: their sum has no verdict.
fn verdicts(counters: &Counters) -> impl Iterator<Item = (&str, u64)> {
    counters
        .iter()
        .filter(|(name, _)| name != "total_packets")
        .filter_map(|(name, value)| Some((name.strip_suffix("_packets")?, *value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(values: &[(&str, u64)]) -> Counters {
        let owned = |(name, value): &(&str, u64)| ((*name).to_owned(), *value);
        values.iter().map(owned).collect()
    }

    #[test]
    fn a_sample_for_each_verdict_and_each_endpoint() {
        let one = |id, came| Endpoint {
            id,
            came_packets: came,
            came_bytes: came * 100,
            left_packets: 1,
            left_bytes: 50,
        };
        let gateway = Gateway {
            stats: GatewayStats {
                came: counters(&[
                    ("total_packets", 9),
                    ("accepted_packets", 7),
                    ("dropped_sender_packets", 2),
                ]),
                left: counters(&[("total_packets", 3), ("returned_packets", 3)]),
                flows: counters(&[("known_flow_packets", 5)]),
            },
            endpoints: vec![one(Some(0x2b), 7), one(None, 2)],
            flows: Some(2),
            max_flows: 131_072,
        };
        let mut text = Text::default();
        gateway.write(&mut text);
        let page = text.finish();
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "glb_geneve_packets_total{direction=\"came\",verdict=\"accepted\"} 7",
                "glb_geneve_packets_total{direction=\"came\",verdict=\"dropped_sender\"} 2",
                "glb_geneve_packets_total{direction=\"left\",verdict=\"returned\"} 3",
                "glb_geneve_flow_packets_total{outcome=\"known\"} 5",
                "glb_geneve_endpoint_packets_total{endpoint=\"0x000000000000002b\",direction=\"came\"} 7",
                "glb_geneve_endpoint_packets_total{endpoint=\"0x000000000000002b\",direction=\"left\"} 1",
                "glb_geneve_endpoint_packets_total{endpoint=\"others\",direction=\"came\"} 2",
                "glb_geneve_endpoint_packets_total{endpoint=\"others\",direction=\"left\"} 1",
                "glb_geneve_endpoint_bytes_total{endpoint=\"0x000000000000002b\",direction=\"came\"} 700",
                "glb_geneve_endpoint_bytes_total{endpoint=\"0x000000000000002b\",direction=\"left\"} 50",
                "glb_geneve_endpoint_bytes_total{endpoint=\"others\",direction=\"came\"} 200",
                "glb_geneve_endpoint_bytes_total{endpoint=\"others\",direction=\"left\"} 50",
                "glb_geneve_flows 2",
                "glb_geneve_flows_max 131072",
            ]
        );
    }
}
