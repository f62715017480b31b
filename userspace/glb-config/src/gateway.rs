// SPDX-License-Identifier: GPL-2.0

//! `geneve` of `director.conf`: what devices with this role are told. They are the options of `glbctl attach --role geneve`.

use crate::issue::Severity;
use crate::read::{Node, Object, Reader};
use glb_core::geneve::flows::{Limits, MAX_FLOWS};
use glb_core::geneve::{DEFAULT_CLASS, MAX_SENDERS, PORT};
use glb_core::packet::addr::Addr;
use std::ops::RangeInclusive;

/// Flows that are remembered if nothing is said.
const DEFAULT_FLOWS: u32 = 131_072;

/// What allows every sender: nothing else does, so that nobody does it by leaving something out.
const EVERY_SENDER: &str = r#"["0.0.0.0/0", "::/0"]"#;

/// Longest name of a device.
const NAME_LEN: usize = 15;

/// The fields of a device.
pub(crate) const FIELDS: [&str; 9] = [
    "device",
    "port",
    "class",
    "allow_from",
    "pass",
    "strict",
    "max_flows",
    "idle",
    "tcp_idle",
];

/// A device with the role geneve, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub device: String,
    /// UDP port.
    pub port: u16,
    /// Class of the three options.
    pub class: u16,
    /// Prefixes of allowed senders. A file has one at least; without any, every sender is allowed.
    pub allow_from: Vec<(Addr, u8)>,
    /// Whether packets go on that have no socket here.
    pub pass: bool,
    /// Whether packets that would leave without a header are dropped.
    pub strict: bool,
    /// Flows that are remembered.
    pub max_flows: u32,
    /// Seconds without a packet after which one is forgotten.
    pub idle: u16,
    /// The same of TCP.
    pub tcp_idle: u16,
}

impl Gateway {
    /// A device that is told nothing.
    #[must_use]
    pub fn new(device: &str) -> Self {
        Self {
            device: device.to_owned(),
            port: PORT,
            class: DEFAULT_CLASS,
            allow_from: Vec::new(),
            pass: false,
            strict: false,
            max_flows: DEFAULT_FLOWS,
            idle: Limits::DEFAULT_IDLE,
            tcp_idle: Limits::DEFAULT_IDLE,
        }
    }

    /// What all devices with the role share: their flow cache.
    fn cache(&self) -> [(&'static str, u32); 3] {
        [
            ("max_flows", self.max_flows),
            ("idle", self.idle.into()),
            ("tcp_idle", self.tcp_idle.into()),
        ]
    }
}

/// Reads the list of devices.
pub(crate) fn read(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<Gateway>> {
    let items = reader.array(node)?;
    let mut devices: Vec<Gateway> = Vec::with_capacity(items.len());
    let mut good = true;
    for item in &items {
        let Some(device) = read_device(reader, item) else {
            good = false;
            continue;
        };
        good &= fits(reader, item, &devices, &device);
        devices.push(device);
    }
    good.then_some(devices)
}

/// Whether a device can stand beside those before it.
fn fits(reader: &mut Reader, node: &Node<'_>, before: &[Gateway], device: &Gateway) -> bool {
    if before.iter().any(|other| other.device == device.device) {
        let path = format!("{}.device", node.path);
        reader.error_at(&path, format!("{:?} is there twice", device.device));
        return false;
    }
    let Some(first) = before.first() else {
        return true;
    };
    let mut shared = first.cache().into_iter().zip(device.cache());
    let Some(((name, wanted), (_, own))) = shared.find(|(one, other)| one != other) else {
        return true;
    };
    let reason = format!(
        "is {own}, and {wanted} of {}: devices with this role share one flow cache, so give all of them the same",
        first.device
    );
    reader.error_at(&format!("{}.{name}", node.path), reason);
    false
}

fn read_device(reader: &mut Reader, node: &Node<'_>) -> Option<Gateway> {
    // A field that is not read may be the one that shuts the device.
    let object = reader.object_where(node, &FIELDS, |_| Severity::Error)?;
    let name = reader.required(&object, "device");
    if object.get("allow_from").is_none() {
        let reason = format!(
            "is missing: name the subnets of the load balancer, as in [\"192.168.40.0/24\"]; for every sender: {EVERY_SENDER}"
        );
        reader.error_at(&object.path_of("allow_from"), reason);
    }
    let mut device = Gateway::new(name.and_then(|name| read_name(reader, &name)).unwrap_or(""));
    // All that is wrong is said, and not only the first of it.
    let good = [
        !device.device.is_empty() && object.get("allow_from").is_some(),
        number(reader, (&object, "port"), 1..=u16::MAX, &mut device.port),
        take(reader, (&object, "class"), read_class, &mut device.class),
        take(
            reader,
            (&object, "allow_from"),
            read_senders,
            &mut device.allow_from,
        ),
        take(reader, (&object, "pass"), Reader::boolean, &mut device.pass),
        take(
            reader,
            (&object, "strict"),
            Reader::boolean,
            &mut device.strict,
        ),
        number(
            reader,
            (&object, "max_flows"),
            1..=MAX_FLOWS,
            &mut device.max_flows,
        ),
        number(
            reader,
            (&object, "idle"),
            1..=Limits::MAX_IDLE,
            &mut device.idle,
        ),
        number(
            reader,
            (&object, "tcp_idle"),
            1..=Limits::MAX_IDLE,
            &mut device.tcp_idle,
        ),
    ];
    good.into_iter().all(|one| one).then_some(device)
}

/// Takes a field, if it is there; whether what is there is good.
fn take<T>(
    reader: &mut Reader,
    (object, name): (&Object<'_>, &str),
    read: impl FnOnce(&mut Reader, &Node<'_>) -> Option<T>,
    place: &mut T,
) -> bool {
    let Some(node) = object.get(name) else {
        return true;
    };
    let value = read(reader, &node);
    let good = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    good
}

fn number<T: TryFrom<u64> + Copy + Into<u64>>(
    reader: &mut Reader,
    field: (&Object<'_>, &str),
    range: RangeInclusive<T>,
    place: &mut T,
) -> bool {
    let read = |reader: &mut Reader, node: &Node<'_>| reader.integer(node, range);
    take(reader, field, read, place)
}

fn read_name<'v>(reader: &mut Reader, node: &Node<'v>) -> Option<&'v str> {
    let name = reader.string(node)?;
    let is_part = |byte: u8| byte > b' ' && byte != 0x7f && byte != b'/' && byte != b':';
    let good = (1..=NAME_LEN).contains(&name.len()) && name.bytes().all(is_part);
    if !good {
        let reason = format!("must be the name of a device, 1 to {NAME_LEN} bytes");
        reader.error(node, reason);
    }
    good.then_some(name)
}

/// The class as people write it, or as a number.
fn read_class(reader: &mut Reader, node: &Node<'_>) -> Option<u16> {
    let text = node.value.as_str().and_then(|text| text.strip_prefix("0x"));
    let class = match text {
        Some(digits)
            if digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            u16::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => node
            .value
            .as_u64()
            .and_then(|number| u16::try_from(number).ok()),
    };
    if class.is_none() {
        let reason = "must be a class of options, from \"0x0000\" to \"0xffff\" or from 0 to 65535";
        reader.error(node, reason);
    }
    class
}

fn read_senders(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<(Addr, u8)>> {
    let items = reader.array(node)?;
    if items.is_empty() {
        // Whoever lists nobody may mean that nobody is allowed.
        let reason = format!("must name at least one prefix; for every sender: {EVERY_SENDER}");
        reader.error(node, reason);
        return None;
    }
    if items.len() > MAX_SENDERS {
        let reason = format!("must have at most {MAX_SENDERS} prefixes");
        reader.error(node, reason);
        return None;
    }
    let prefixes: Vec<Option<(Addr, u8)>> = items.iter().map(|item| reader.prefix(item)).collect();
    prefixes.into_iter().collect()
}
