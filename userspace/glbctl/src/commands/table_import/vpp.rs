// SPDX-License-Identifier: GPL-2.0

//! The lines that configure VPP's load balancer, as its plugin `lb` takes them: read line by line, without a file.
//!
//! What a line says that has its place elsewhere (a setting of the director, the role of a device) becomes a note. A line that
//! is not taken becomes a refusal, with its number.

use glb_core::director::flows::Rules;
use glb_core::director::select::maglev::vpp;
use glb_core::director::select::maglev::MAX_WEIGHT;
use std::net::IpAddr;
use std::str::FromStr;

/// Replicas of a server in VPP, unless it is told others.
const DEFAULT_WEIGHT: u16 = 100;
/// Rows of a VIP's table in VPP, unless it is told others.
const DEFAULT_ROWS: u32 = 1024;

/// What some lines say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) vips: Vec<Vip>,
    /// `buckets` and `timeout` of `lb conf`.
    pub(super) buckets: Option<u32>,
    pub(super) timeout: Option<u16>,
    /// Its source addresses, which VIPs of the type nodeport answer from.
    pub(super) sources: Vec<IpAddr>,
    /// What is to be done elsewhere: number of the line, what.
    pub(super) notes: Vec<(usize, String)>,
    /// Lines that are not taken: number, the line, why.
    pub(super) refused: Vec<(usize, String, String)>,
}

/// A VIP with its application servers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vip {
    pub(super) line: usize,
    pub(super) key: Key,
    pub(super) encap: Encap,
    pub(super) dscp: Option<u8>,
    pub(super) target_port: Option<u16>,
    pub(super) node_port: Option<u16>,
    /// Whether the service is asked by its node port, and not by its VIP.
    pub(super) is_node_port: bool,
    pub(super) rows: u32,
    pub(super) sticky: bool,
    pub(super) servers: Vec<(IpAddr, u16)>,
}

/// What a VIP is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) addr: IpAddr,
    pub(super) bits: u8,
    /// All protocols if none.
    pub(super) proto: Option<Proto>,
    /// All ports if none.
    pub(super) port: Option<u16>,
}

impl Key {
    /// What VPP's lines call the VIP, and so its table.
    pub(super) fn name(&self) -> String {
        let mut name = format!("{}/{}", self.addr, self.bits);
        if let Some(proto) = self.proto {
            name += &format!(" {}", proto.name());
        }
        if let Some(port) = self.port {
            name += &format!(" port {port}");
        }
        name
    }
}

/// A protocol of a VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proto {
    Tcp,
    Udp,
}

impl Proto {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// How packets leave for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encap {
    Gre4,
    Gre6,
    L3dsr,
    Nat4,
    Nat6,
}

impl Encap {
    /// Whether servers have IPv4 addresses.
    fn is_v4(self) -> bool {
        matches!(self, Self::Gre4 | Self::L3dsr | Self::Nat4)
    }

    fn is_nat(self) -> bool {
        matches!(self, Self::Nat4 | Self::Nat6)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gre4 => "gre4",
            Self::Gre6 => "gre6",
            Self::L3dsr => "l3dsr",
            Self::Nat4 => "nat4",
            Self::Nat6 => "nat6",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Gre4, Self::Gre6, Self::L3dsr, Self::Nat4, Self::Nat6];
        all.into_iter().find(|one| one.name() == name)
    }
}

/// Reads all lines. Empty ones and comments (`#`, `//`) say nothing.
pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split(" //").next().unwrap_or_default();
        let code = code.split('#').next().unwrap_or_default();
        let mut words: Vec<&str> = code.split_whitespace().collect();
        if words.first() == Some(&"vppctl") {
            words.remove(0);
        }
        if words.is_empty() || words[0].starts_with("//") {
            continue;
        }
        if let Err(reason) = found.line(number, &words) {
            found.refused.push((number, line.trim().to_owned(), reason));
        }
    }
    found
}

impl Found {
    fn line(&mut self, number: usize, words: &[&str]) -> Result<(), String> {
        match words {
            ["lb", "conf", rest @ ..] => self.conf(number, rest),
            ["lb", "vip", rest @ ..] => self.vip(number, rest),
            ["lb", "as", rest @ ..] => self.servers(rest),
            ["lb", "as_set_weight", rest @ ..] => self.set_weight(rest),
            ["lb", "set", "interface", "nat4" | "nat6", "in", rest @ ..] => {
                self.interface(number, rest)
            }
            ["lb", "flush", "vip", rest @ ..] => self.flush(number, rest),
            ["lb", ..] => Err(
                "is none of lb conf, lb vip, lb as, lb as_set_weight, lb flush vip and lb set interface nat4|nat6 in"
                    .to_owned(),
            ),
            _ => Err("is no line of VPP's load balancer".to_owned()),
        }
    }

    /// `[ip4-src-address A] [ip6-src-address A] [buckets N] [timeout S]`
    fn conf(&mut self, number: usize, words: &[&str]) -> Result<(), String> {
        let mut words = Words(words);
        let (mut notes, mut buckets, mut timeout) = (Vec::new(), self.buckets, self.timeout);
        let mut sources = self.sources.clone();
        while let Some(word) = words.next() {
            match word {
                "ip4-src-address" => {
                    let addr: std::net::Ipv4Addr = words.value(word, "an IPv4 address")?;
                    sources.retain(|one: &IpAddr| !one.is_ipv4());
                    sources.push(addr.into());
                    notes.push(format!("glbctl config set --source-v4 {addr}"));
                }
                "ip6-src-address" => {
                    let addr: std::net::Ipv6Addr = words.value(word, "an IPv6 address")?;
                    sources.retain(|one: &IpAddr| !one.is_ipv6());
                    sources.push(addr.into());
                    notes.push(format!("glbctl config set --source-v6 {addr}"));
                }
                "buckets" => {
                    let number = words.value(word, "a number")?;
                    if !(1..=Rules::MAX_BUCKETS).contains(&number) {
                        let most = Rules::MAX_BUCKETS;
                        return Err(format!("buckets {number}: must be 1 to {most}"));
                    }
                    buckets = Some(number);
                }
                "timeout" => {
                    let seconds: u32 = words.value(word, "a number of seconds")?;
                    let fit = u16::try_from(seconds).ok();
                    let fit = fit.filter(|seconds| (1..=Rules::MAX_TIMEOUT).contains(seconds));
                    let most = Rules::MAX_TIMEOUT;
                    let wrong = || format!("timeout {seconds}: must be 1 to {most} seconds");
                    timeout = Some(fit.ok_or_else(wrong)?);
                }
                other => return Err(unknown(other)),
            }
        }
        (self.buckets, self.timeout, self.sources) = (buckets, timeout, sources);
        self.notes.extend(notes.into_iter().map(|note| {
            let note = format!("the source address is a setting of the director: {note}");
            (number, note)
        }));
        Ok(())
    }

    /// `PREFIX [protocol tcp|udp] [port N] [encap E] [dscp N] [type T] [target_port N] [node_port N] [new_len N]
    /// [src_ip_sticky] [del]`
    fn vip(&mut self, line: usize, words: &[&str]) -> Result<(), String> {
        let mut words = Words(words);
        let mut key = words.prefix()?;
        // What VPP takes where a line does not say it.
        let mut vip = Vip {
            line,
            key,
            encap: Encap::Gre4,
            dscp: None,
            target_port: None,
            node_port: None,
            is_node_port: false,
            rows: DEFAULT_ROWS,
            sticky: false,
            servers: Vec::new(),
        };
        let mut delete = false;
        while let Some(word) = words.next() {
            if words.key(word, &mut key)? {
                continue;
            }
            match word {
                "encap" => {
                    let name = words.next().unwrap_or_default();
                    let wrong =
                        || format!("encap {name:?}: must be gre4, gre6, l3dsr, nat4 or nat6");
                    vip.encap = Encap::from_name(name).ok_or_else(wrong)?;
                }
                "dscp" => {
                    let dscp = words.value(word, "0 to 63")?;
                    if dscp > 63 {
                        return Err(format!("dscp {dscp}: must be 0 to 63"));
                    }
                    vip.dscp = Some(dscp);
                }
                "type" => match words.next() {
                    Some("clusterip") => vip.is_node_port = false,
                    Some("nodeport") => vip.is_node_port = true,
                    other => {
                        let other = other.unwrap_or_default();
                        return Err(format!("type {other:?}: must be clusterip or nodeport"));
                    }
                },
                "target_port" => vip.target_port = Some(words.value(word, "a port")?),
                "node_port" => vip.node_port = Some(words.value(word, "a port")?),
                "new_len" => {
                    vip.rows = words.value(word, "a power of two")?;
                    if vpp::check(vip.rows).is_err() {
                        return Err(format!(
                            "new_len {}: must be a power of two, at most 524288",
                            vip.rows
                        ));
                    }
                }
                "src_ip_sticky" => vip.sticky = true,
                "del" => delete = true,
                other => return Err(unknown(other)),
            }
        }
        vip.key = key;
        if delete {
            let place = self.place(&key)?;
            self.vips.remove(place);
            return Ok(());
        }
        if self.vips.iter().any(|one| one.key == key) {
            return Err("another line has this VIP already".to_owned());
        }
        match vip.encap {
            Encap::L3dsr if vip.dscp.is_none() => {
                return Err("encap l3dsr needs dscp".to_owned());
            }
            Encap::L3dsr => {}
            _ if vip.dscp.is_some() => return Err("dscp needs encap l3dsr".to_owned()),
            _ => {}
        }
        if vip.encap.is_nat() {
            if vip.target_port.is_none() || key.port.is_none() {
                let encap = vip.encap.name();
                return Err(format!("encap {encap} needs port and target_port"));
            }
        } else if vip.target_port.is_some() || vip.node_port.is_some() {
            return Err("target_port and node_port need encap nat4 or nat6".to_owned());
        }
        let vip_is_v4 = key.addr.is_ipv4();
        if !matches!(vip.encap, Encap::Gre4 | Encap::Gre6) && vip_is_v4 != vip.encap.is_v4() {
            let encap = vip.encap.name();
            return Err(format!("encap {encap} is for VIPs of the other family"));
        }
        self.vips.push(vip);
        Ok(())
    }

    /// `PREFIX [protocol tcp|udp] [port N]`
    fn flush(&mut self, number: usize, words: &[&str]) -> Result<(), String> {
        let mut words = Words(words);
        let mut key = words.prefix()?;
        while let Some(word) = words.next() {
            if !words.key(word, &mut key)? {
                return Err(unknown(word));
            }
        }
        let service = self.vips[self.place(&key)?].key.name();
        let note = format!(
            "which flows are kept is the matter of the running director: glbctl flows --flush --service '{service}'"
        );
        self.notes.push((number, note));
        Ok(())
    }

    /// `PREFIX [protocol tcp|udp] [port N] ADDRESS... [weight N] [del] [flush]`
    fn servers(&mut self, words: &[&str]) -> Result<(), String> {
        let mut words = Words(words);
        let mut key = words.prefix()?;
        let (mut addrs, mut weight, mut delete) = (Vec::new(), None, false);
        while let Some(word) = words.next() {
            if words.key(word, &mut key)? {
                continue;
            }
            match word {
                "weight" => weight = Some(words.weight(word)?),
                "del" => delete = true,
                // Which flows are kept is the matter of a load, not of a file.
                "flush" => {}
                word => match IpAddr::from_str(word) {
                    Ok(addr) => addrs.push(addr),
                    Err(_) => return Err(unknown(word)),
                },
            }
        }
        if addrs.is_empty() {
            return Err("names no application server".to_owned());
        }
        let place = self.place(&key)?;
        let vip = &self.vips[place];
        let mut servers = vip.servers.clone();
        for addr in addrs {
            let at = servers.iter().position(|(one, _)| *one == addr);
            match (at, delete) {
                (Some(at), true) => {
                    servers.remove(at);
                }
                (None, true) => return Err(format!("{addr} is no server of this VIP")),
                (Some(_), false) => return Err(format!("{addr} is a server of this VIP already")),
                (None, false) => {
                    if addr.is_ipv4() != vip.encap.is_v4() {
                        let encap = vip.encap.name();
                        return Err(format!("{addr} is not of the family of encap {encap}"));
                    }
                    servers.push((addr, weight.unwrap_or(DEFAULT_WEIGHT)));
                }
            }
        }
        self.vips[place].servers = servers;
        Ok(())
    }

    /// `PREFIX [protocol tcp|udp] [port N] ADDRESS [weight] N [flush]`
    fn set_weight(&mut self, words: &[&str]) -> Result<(), String> {
        let mut words = Words(words);
        let mut key = words.prefix()?;
        let (mut addr, mut weight) = (None, None);
        while let Some(word) = words.next() {
            if words.key(word, &mut key)? {
                continue;
            }
            match (word, addr) {
                ("weight", Some(_)) => weight = Some(words.weight(word)?),
                ("flush", _) => {}
                (word, None) => addr = Some(IpAddr::from_str(word).map_err(|_| unknown(word))?),
                (word, Some(_)) if weight.is_none() => weight = Some(weight_of(word)?),
                (word, _) => return Err(unknown(word)),
            }
        }
        let (Some(addr), Some(weight)) = (addr, weight) else {
            return Err("needs a VIP, an application server and a weight".to_owned());
        };
        let place = self.place(&key)?;
        let servers = &mut self.vips[place].servers;
        match servers.iter_mut().find(|(one, _)| *one == addr) {
            Some((_, of_server)) => *of_server = weight,
            None => return Err(format!("{addr} is no server of this VIP")),
        }
        Ok(())
    }

    /// `DEVICE [del]`
    fn interface(&mut self, number: usize, words: &[&str]) -> Result<(), String> {
        let note = match words {
            [device] => format!(
                "the role of a device is not in a table: glbctl attach {device} --role return"
            ),
            [device, "del"] => {
                format!("the role of a device is not in a table: glbctl detach {device}")
            }
            _ => return Err("names no interface, or more than one".to_owned()),
        };
        self.notes.push((number, note));
        Ok(())
    }

    /// The VIP that a line means. One that gives no port means the only VIP of its prefix.
    fn place(&self, key: &Key) -> Result<usize, String> {
        if let Some(place) = self.vips.iter().position(|one| one.key == *key) {
            return Ok(place);
        }
        let of_prefix = |one: &Vip| (one.key.addr, one.key.bits) == (key.addr, key.bits);
        let places = self.vips.iter().enumerate();
        let mut places = places.filter(|(_, one)| of_prefix(one));
        match (places.next(), places.next(), key.port) {
            (Some((place, _)), None, None) => Ok(place),
            (Some(_), Some(_), None) => Err(
                "more than one VIP has this prefix: the line needs protocol and port".to_owned(),
            ),
            _ => Err("no line lb vip above has this VIP".to_owned()),
        }
    }
}

/// The words of a line that are not read yet.
struct Words<'a>(&'a [&'a str]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The value behind a word.
    fn value<T: FromStr>(&mut self, of: &str, must: &str) -> Result<T, String> {
        let word = self.next().unwrap_or_default();
        let wrong = |_| format!("{of} {word:?}: must be {must}");
        word.parse().map_err(wrong)
    }

    fn weight(&mut self, of: &str) -> Result<u16, String> {
        let word = self.next().unwrap_or_default();
        weight_of(word).map_err(|reason| format!("{of} {reason}"))
    }

    /// The prefix that a VIP begins with; an address alone is a whole one.
    fn prefix(&mut self) -> Result<Key, String> {
        let word = self.next().unwrap_or_default();
        let wrong = || format!("{word:?} is no prefix");
        let (addr, bits) = match word.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (word, None),
        };
        let addr = IpAddr::from_str(addr).map_err(|_| wrong())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(wrong());
        }
        Ok(Key {
            addr,
            bits,
            proto: None,
            port: None,
        })
    }

    /// Takes in the value of a word that belongs to the key of a VIP.
    fn key(&mut self, word: &str, key: &mut Key) -> Result<bool, String> {
        match word {
            "protocol" => {
                key.proto = Some(match self.next() {
                    Some("tcp") => Proto::Tcp,
                    Some("udp") => Proto::Udp,
                    other => {
                        let other = other.unwrap_or_default();
                        return Err(format!("protocol {other:?}: must be tcp or udp"));
                    }
                });
            }
            "port" => {
                let port = self.value(word, "1 to 65535")?;
                if port == 0 {
                    return Err("port 0: must be 1 to 65535".to_owned());
                }
                key.port = Some(port);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn weight_of(word: &str) -> Result<u16, String> {
    let weight = word.parse().ok().filter(|weight| *weight <= MAX_WEIGHT);
    weight.ok_or_else(|| format!("{word:?}: must be 0 to {MAX_WEIGHT}"))
}

fn unknown(word: &str) -> String {
    format!("{word:?} is not known here")
}

#[cfg(test)]
#[path = "vpp_tests.rs"]
mod tests;
