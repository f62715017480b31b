// SPDX-License-Identifier: GPL-2.0

//! A number that stands for a table, so that directors can be compared without their keys being told.

use crate::tables::{Rule, Table};
use glb_core::addr::Addr;
use glb_core::backend::State;
use glb_core::table::v3::Checksum;

impl Table {
    /// The same for tables that send each packet to the same backends while these are all healthy, and do so after
    /// any change of health too; another one, but for chance, for all others. Names, health checks and health do
    /// not count. It is no secret: its 64 bits say little of 32 bytes of keys.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut sum = Checksum::default();
        sum.update(&match self.rule {
            Rule::V2 => [2, 2],
            Rule::V3 { hops } => [3, hops],
        });
        sum.update(&[self.forward.number()]);
        sum.update(&self.hash_key);
        sum.update(&self.seed);
        sum.update(&(self.binds.len() as u64).to_le_bytes());
        for bind in &self.binds {
            put_addr(&mut sum, bind.addr.masked(bind.prefix_len));
            sum.update(&[bind.prefix_len, bind.proto.number()]);
            sum.update(&bind.port_start.to_le_bytes());
            sum.update(&bind.port_end.to_le_bytes());
        }
        for one in &self.backends {
            put_addr(&mut sum, one.backend.addr);
            sum.update(&[match one.backend.state {
                State::Filling => 0,
                State::Active => 1,
                State::Draining => 2,
                State::Inactive => 3,
            }]);
            sum.update(&one.weight.to_le_bytes());
            let domain = one.domain.as_deref();
            // None, and an empty one, are two things.
            let len = domain.map_or(0, |domain| domain.len() as u64 + 1);
            sum.update(&len.to_le_bytes());
            sum.update(domain.unwrap_or_default().as_bytes());
        }
        sum.finish()
    }
}

fn put_addr(sum: &mut Checksum, addr: Addr) {
    match addr {
        Addr::V4(bytes) => {
            sum.update(&[4]);
            sum.update(&bytes);
        }
        Addr::V6(bytes) => {
            sum.update(&[6]);
            sum.update(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tables;
    use serde_json::{json, Value};

    fn digest(change: impl FnOnce(&mut Value)) -> u64 {
        let mut tree = json!({"tables": [{"name": "t", "version": 3, "hops": 3,
            "hash_key": "12345678901234561234567890123456", "seed": "49a3d861d661ae5ab06ed9326871a2f5",
            "binds": [{"ip": "9.9.9.0/24", "proto": "tcp", "port": 80}],
            "backends": [{"ip": "1.1.1.1", "state": "active", "healthy": true},
                         {"ip": "1.1.1.2", "state": "active", "healthy": true}]}]});
        change(&mut tree["tables"][0]);
        let config = tables::read("t", &tree.to_string()).value.expect("sound");
        config.tables[0].digest()
    }

    #[test]
    fn what_matters_to_packets_matters() {
        let same = digest(|_| {});
        type Change = fn(&mut Value);
        let others: [Change; 9] = [
            |t| t["hash_key"] = json!("22345678901234561234567890123456"),
            |t| t["seed"] = json!("59a3d861d661ae5ab06ed9326871a2f5"),
            |t| t["hops"] = json!(2),
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
}
