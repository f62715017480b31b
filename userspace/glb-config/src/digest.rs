// SPDX-License-Identifier: GPL-2.0

//! A digest of a table, to compare directors without revealing their keys.

use crate::tables::{Rule, Table, TableBackend};
use glb_core::director::classify::bind::Bind;
use glb_core::director::{FlowHash, Forward};
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;

/// What the hash is used for here, so that it is none that the packets' hash gives.
const TAG: &[u8] = b"glb table digest 2";
/// The same of a table with its health.
const WITH_HEALTH: &[u8] = b"glb table digest with health 1";

impl Table {
    /// The same for tables that send each packet to the same backends while these are all healthy, and do so after
    /// any change of health too; another one, but for chance, for all others. Names, health checks and health do
    /// not count, nor does the order of binds and of backends: all lead to one table, and rows depend on the set of
    /// backends alone (core/tests/rows3.rs; of one address that stands there twice the order counts).
    ///
    /// It is a hash with the table's own secret key: who does not have the key learns nothing of it or of the seed, and
    /// cannot try out seeds.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.hashed(TAG, backend)
    }

    /// As [`Self::digest`], but of the health too: the same for tables with the same rows, as they are now.
    #[must_use]
    pub fn digest_with_health(&self) -> u64 {
        self.hashed(WITH_HEALTH, |one| {
            let mut text = backend(one);
            text.push(u8::from(one.backend.healthy));
            text
        })
    }

    fn hashed(&self, tag: &[u8], backend: fn(&TableBackend) -> Vec<u8>) -> u64 {
        let mut text = tag.to_vec();
        text.extend(match self.rule {
            Rule::V2 => [2, 2],
            Rule::V3 { hops } | Rule::Maglev { hops } => [3, hops],
        });
        // Directors of versions without forwards have the same number for a table that all of them know.
        if self.forward != Forward::default() {
            text.extend([0xff, self.forward.number()]);
        }
        // Likewise of versions without words.
        self.words.write(&mut |part| text.extend(part));
        text.extend(self.seed);
        put_len(&mut text, self.binds.len());
        let mut binds: Vec<Vec<u8>> = self.binds.iter().map(bind).collect();
        binds.sort_unstable();
        text.extend(binds.concat());
        let mut backends: Vec<&TableBackend> = self.backends.iter().collect();
        backends.sort_by_key(|one| one.backend.addr);
        text.extend(backends.iter().flat_map(|one| backend(one)));
        text.extend(self.identifiers(&backends));
        SipKey::new(&self.hash_key).hash(&text)
    }
}

impl Table {
    /// The identifiers of these backends, where packets depend on them: nothing where they are their places here.
    fn identifiers(&self, backends: &[&TableBackend]) -> Vec<u8> {
        let of_nfqlb = match self.words.flow_hash {
            FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => true,
            FlowHash::Own | FlowHash::Vpp | FlowHash::VppSticky => false,
        };
        let all: Vec<u8> = backends.iter().map(|one| one.identifier).collect();
        let counts = of_nfqlb || self.forward.mark_offset().is_some();
        match counts
            && all
                .iter()
                .zip(0..=u8::MAX)
                .any(|(one, place)| *one != place)
        {
            true => all,
            false => Vec::new(),
        }
    }
}

fn bind(bind: &Bind) -> Vec<u8> {
    let mut text = addr(bind.addr.masked(bind.prefix_len));
    text.extend([bind.prefix_len, bind.proto_number()]);
    text.extend(bind.port_start.to_le_bytes());
    text.extend(bind.port_end.to_le_bytes());
    text
}

fn backend(one: &TableBackend) -> Vec<u8> {
    let mut text = addr(one.backend.addr);
    text.push(one.backend.state.number());
    text.extend(one.weight.to_le_bytes());
    let domain = one.domain.as_deref();
    // None, and an empty one, are two things.
    put_len(&mut text, domain.map_or(0, |domain| domain.len() + 1));
    text.extend(domain.unwrap_or_default().as_bytes());
    text
}

fn put_len(text: &mut Vec<u8>, len: usize) {
    text.extend((len as u64).to_le_bytes());
}

fn addr(addr: Addr) -> Vec<u8> {
    match addr {
        Addr::V4(bytes) => [&[4][..], &bytes].concat(),
        Addr::V6(bytes) => [&[6][..], &bytes].concat(),
    }
}

#[cfg(test)]
mod tests {
    use crate::tables;
    use serde_json::{json, Value};

    fn digest(change: impl FnOnce(&mut Value)) -> u64 {
        table(change).digest()
    }

    fn table(change: impl FnOnce(&mut Value)) -> tables::Table {
        let mut tree = json!({"tables": [{"name": "t", "version": 3, "hops": 3,
            "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
            "binds": [{"ip": "9.9.9.0/24", "proto": "tcp", "port": 80}],
            "backends": [{"ip": "1.1.1.1", "state": "active", "healthy": true},
                         {"ip": "1.1.1.2", "state": "active", "healthy": true}]}]});
        change(&mut tree["tables"][0]);
        let mut config = tables::read("t", &tree.to_string()).value.expect("sound");
        config.tables.remove(0)
    }

    #[test]
    fn health_counts_where_it_is_to() {
        let with = |change: fn(&mut Value)| table(change).digest_with_health();
        let same = with(|_| {});
        assert_ne!(same, digest(|_| {}));
        assert_ne!(same, with(|t| t["backends"][0]["healthy"] = json!(false)));
        assert_ne!(
            same,
            with(|t| t["backends"][0]["state"] = json!("draining"))
        );
        let reversed = with(|t| t["backends"].as_array_mut().expect("a list").reverse());
        assert_eq!(same, reversed);
    }

    #[test]
    fn what_matters_to_packets_matters() {
        let same = digest(|_| {});
        type Change = fn(&mut Value);
        let others: [Change; 14] = [
            |t| t["hash_key"] = json!("22345678901234561234567890123456"),
            |t| t["seed"] = json!("59a3d861d661ae5ab06ed9326871a2f5"),
            |t| t["hops"] = json!(2),
            |t| t["forward"] = json!({"kind": "gre"}),
            |t| t["forward"] = json!({"kind": "l3dsr", "dscp": 0}),
            |t| t["forward"] = json!({"kind": "l3dsr", "dscp": 1}),
            |t| {
                t["binds"][0]["ip"] = json!("9.9.9.9");
                t["forward"] = json!({"kind": "nat"});
            },
            |t| {
                t["binds"][0]["ip"] = json!("9.9.9.9");
                t["forward"] = json!({"kind": "nat", "target_port": 81});
            },
            |t| t["binds"][0]["port"] = json!(81),
            |t| t["binds"][0]["ip"] = json!("9.9.9.0/25"),
            |t| t["backends"][0]["state"] = json!("draining"),
            |t| t["backends"][0]["weight"] = json!(2),
            |t| t["backends"][0]["domain"] = json!(""),
            |t| t["backends"][1]["ip"] = json!("1.1.1.3"),
        ];
        let mut seen = vec![same];
        for change in others {
            let other = digest(change);
            assert!(!seen.contains(&other));
            seen.push(other);
        }
        let equal: [Change; 4] = [
            |t| t["name"] = json!("other"),
            |t| t["binds"][0]["ip"] = json!("9.9.9.7/24"),
            |t| t["backends"][0]["healthy"] = json!(false),
            |t| t["backends"][0]["healthchecks"] = json!({"http": 80}),
        ];
        for change in equal {
            assert_eq!(digest(change), same);
        }
    }

    #[test]
    fn order_does_not_matter() {
        let with = |change: fn(&mut Vec<Value>)| {
            digest(|table| {
                table["binds"] = json!([{"ip": "9.9.9.0/24", "proto": "tcp", "port": 80},
                                        {"ip": "9.9.9.9", "proto": "udp", "port": 53}]);
                for list in ["binds", "backends"] {
                    if let Some(items) = table[list].as_array_mut() {
                        change(items);
                    }
                }
            })
        };
        assert_eq!(with(|_| {}), with(|items| items.reverse()));
        assert_ne!(with(|_| {}), with(|items| items.truncate(1)));
    }

    /// SipHash is a pseudo-random function of its key: without it a digest tells nothing of what was hashed.
    #[test]
    fn it_is_a_hash_with_the_tables_key() {
        use glb_core::siphash::SipKey;
        let mut text = b"glb table digest 2".to_vec();
        text.extend([3, 3]);
        text.extend(0x49a3_d861_d661_ae5a_b06e_d932_6871_a2f5_u128.to_be_bytes());
        text.extend(1_u64.to_le_bytes());
        text.extend([4, 9, 9, 9, 0, 24, 6, 80, 0, 80, 0]);
        for last in [1, 2] {
            text.extend([4, 1, 1, 1, last, 1, 1, 0]);
            text.extend([0; 8]);
        }
        let key = SipKey::new(&0x1234_5678_9012_3456_1234_5678_9012_3456_u128.to_be_bytes());
        assert_eq!(digest(|_| {}), key.hash(&text));
    }
}
