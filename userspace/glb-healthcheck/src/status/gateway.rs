// SPDX-License-Identifier: GPL-2.0

//! What devices with the role geneve count and remember, as metrics. Nothing where no device has the role.

use glb_daemon::text::{Text, Type};
use glb_netlink::{Counters, Endpoint, Error, GatewayStats, Glb};

/// What the role says.
#[derive(Debug)]
pub(super) struct Gateway {
    stats: GatewayStats,
    /// At most 64, and all others together.
    endpoints: Vec<Endpoint>,
}

/// What is known of the role.
#[derive(Debug, Default)]
pub(super) enum Asked {
    /// No device has it.
    #[default]
    Nothing,
    /// The module did not answer.
    Failed,
    /// This.
    Said(Gateway),
}

impl Gateway {
    fn ask(glb: &mut Glb) -> Result<Option<Self>, Error> {
        if glb.gateways()?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            stats: glb.gateway_stats()?,
            endpoints: glb.gateway_endpoints()?,
        }))
    }

    fn write(&self, text: &mut Text) {
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
        let Some(usage) = self.stats.usage else {
            return;
        };
        let help = "Flows whose headers are remembered; estimated if the cache is large.";
        text.family("glb_geneve_flows", Type::Gauge, help)
            .sample(&[], usage.in_use.into());
        let help = "Entries of the flow cache, a fifth more than max_flows.";
        text.family("glb_geneve_flows_max", Type::Gauge, help)
            .sample(&[], usage.room.into());
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

impl Asked {
    /// Asks the module.
    pub(super) fn of(glb: &mut Glb) -> Self {
        Self::new(Gateway::ask(glb))
    }

    /// A module that does not know the role has no device with it.
    fn new(asked: Result<Option<Gateway>, Error>) -> Self {
        match asked {
            Ok(Some(gateway)) => Self::Said(gateway),
            Ok(None) => Self::Nothing,
            Err(error) if error.is_unknown() => Self::Nothing,
            Err(_) => Self::Failed,
        }
    }

    pub(super) fn write(&self, text: &mut Text) {
        let up = match self {
            Self::Nothing => return,
            Self::Failed => 0.0,
            Self::Said(_) => 1.0,
        };
        let help =
            "Whether the module said what it counts of the role geneve; if not, the rest is not here.";
        text.family("glb_geneve_up", Type::Gauge, help)
            .sample(&[], up);
        if let Self::Said(gateway) = self {
            gateway.write(text);
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
    use glb_netlink::{Refusal, Usage};

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
                usage: Some(Usage {
                    in_use: 2,
                    room: 157_288,
                }),
            },
            endpoints: vec![one(Some(0x2b), 7), one(None, 2)],
        };
        assert_eq!(
            samples(&Asked::new(Ok(Some(gateway)))),
            [
                "glb_geneve_up 1",
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
                "glb_geneve_flows_max 157288",
            ]
        );
    }

    #[test]
    fn a_module_that_does_not_answer_is_not_one_without_devices() {
        let refused = |errno| {
            Error::Refused(Refusal {
                command: "geneve-stats-get".to_owned(),
                errno,
                message: None,
                attribute: None,
            })
        };
        assert_eq!(samples(&Asked::new(Ok(None))), [] as [&str; 0]);
        assert_eq!(samples(&Asked::new(Err(refused(95)))), [] as [&str; 0]);
        for errno in [12, 105] {
            let asked = Asked::new(Err(refused(errno)));
            assert_eq!(samples(&asked), ["glb_geneve_up 0"], "{errno}");
        }
    }

    fn samples(asked: &Asked) -> Vec<String> {
        let mut text = Text::default();
        asked.write(&mut text);
        let page = text.finish();
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(ToOwned::to_owned).collect()
    }
}
