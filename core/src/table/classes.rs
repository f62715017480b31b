// SPDX-License-Identifier: GPL-2.0

//! The classes of a binary file: behind the tables, in files of versions 5 and 6 (docs/formats.md).
//!
//! Lists of prefixes that are alike stand once: many classes often share the same clients.

use super::error::Field;
use crate::director::classify::bind::Proto;
use crate::director::classify::flow::{
    ByteMatch, Class, NamedClass, Ports, Prefix, Protocols, MAX_CLASSES, MAX_MATCHES,
    MAX_PREFIXES_EACH,
};
use crate::director::Forward;
use crate::packet::addr::Addr;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Instead of the index of a list: the class has none.
const NO_LIST: u32 = u32::MAX;

/// A field, the class that it is of, and the value that it may not have.
type Bad = (Field, Option<u32>, u64);

/// Bytes that are read from the start on.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Bad> {
        let short = (Field::Length, None, self.0.len() as u64);
        let (first, rest) = self.0.split_first_chunk().ok_or(short)?;
        self.0 = rest;
        Ok(first)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], Bad> {
        let short = (Field::Length, None, self.0.len() as u64);
        let (first, rest) = self.0.split_at_checked(len).ok_or(short)?;
        self.0 = rest;
        Ok(first)
    }

    fn u8(&mut self) -> Result<u8, Bad> {
        self.array().map(|&[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        self.array().map(|bytes| u16::from_le_bytes(*bytes))
    }

    fn u32(&mut self) -> Result<u32, Bad> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// Reads the classes of a file with tables of these forwards: all bytes are theirs.
pub(super) fn read(bytes: &[u8], tables: &[Forward]) -> Result<Vec<NamedClass>, Bad> {
    let mut bytes = Bytes(bytes);
    let num_lists = bytes.u32()?;
    let mut lists: Vec<Vec<Prefix>> = Vec::new();
    for index in 0..num_lists {
        lists.push(list(&mut bytes, index)?);
    }
    let count = bytes.u32()?;
    if count == 0 || count as usize > MAX_CLASSES {
        return Err((Field::NumClasses, None, u64::from(count)));
    }
    let mut classes = Vec::new();
    for index in 0..count {
        let of_class = |(field, _, value)| (field, Some(index), value);
        let one = class(&mut bytes, &lists).map_err(of_class)?;
        let table = tables.get(usize::from(one.class.service));
        if !table.is_some_and(|table| table.takes_classes()) {
            let service = u64::from(one.class.service);
            return Err((Field::ClassService, Some(index), service));
        }
        classes.push(one);
    }
    match bytes.0 {
        [] => Ok(classes),
        rest => Err((Field::Length, None, rest.len() as u64)),
    }
}

fn list(bytes: &mut Bytes<'_>, index: u32) -> Result<Vec<Prefix>, Bad> {
    let len = bytes.u16()?;
    if len == 0 || usize::from(len) > MAX_PREFIXES_EACH {
        return Err((Field::ClassPrefixes, Some(index), u64::from(len)));
    }
    let mut list = Vec::new();
    for _ in 0..len {
        let &[family, bits, ref addr @ ..]: &[u8; 18] = bytes.array()?;
        let &[a, b, c, d, ref rest @ ..] = addr;
        let addr = match family {
            1 if *rest == [0; 12] => Addr::V4([a, b, c, d]),
            2 => Addr::V6(*addr),
            other => return Err((Field::ClassPrefix, Some(index), u64::from(other))),
        };
        if bits > addr.bits() {
            return Err((Field::ClassPrefix, Some(index), u64::from(bits)));
        }
        list.push(Prefix { addr, len: bits });
    }
    Ok(list)
}

fn class(bytes: &mut Bytes<'_>, lists: &[Vec<Prefix>]) -> Result<NamedClass, Bad> {
    let bad = |field, value: u64| (field, None, value);
    let priority = i32::from_le_bytes(*bytes.array()?);
    let service = bytes.u16()?;
    let protocols = bytes.u8()?;
    let num_matches = bytes.u8()?;
    if usize::from(num_matches) > MAX_MATCHES {
        return Err(bad(Field::ClassMatch, u64::from(num_matches)));
    }
    let mut prefixes = || match bytes.u32()? {
        NO_LIST => Ok(Vec::new()),
        index => match lists.get(index as usize) {
            Some(list) => Ok(list.clone()),
            None => Err(bad(Field::ClassList, u64::from(index))),
        },
    };
    let (dst, src) = (prefixes()?, prefixes()?);
    let (num_dports, num_sports) = (bytes.u16()?, bytes.u16()?);
    let udp_encap = match bytes.u16()? {
        0 => None,
        port => Some(port),
    };
    let name_len = bytes.u16()?;
    let (dport, sport) = (ports(bytes, num_dports)?, ports(bytes, num_sports)?);
    let mut matches = Vec::new();
    for _ in 0..num_matches {
        matches.push(byte_match(bytes)?);
    }
    let name = core::str::from_utf8(bytes.slice(usize::from(name_len))?)
        .map_err(|error| bad(Field::ClassName, error.valid_up_to() as u64))?;
    let protocols =
        Protocols::from_bits(protocols).ok_or(bad(Field::ClassProtocols, u64::from(protocols)))?;
    Ok(NamedClass {
        name: name.to_owned(),
        class: Class {
            priority,
            service,
            protocols,
            dst,
            src,
            dport,
            sport,
            matches,
            udp_encap,
        },
    })
}

fn ports(bytes: &mut Bytes<'_>, count: u16) -> Result<Vec<Ports>, Bad> {
    let mut ports = Vec::new();
    for _ in 0..count {
        let (first, last) = (bytes.u16()?, bytes.u16()?);
        if first > last {
            let both = u64::from(first) << 16 | u64::from(last);
            return Err((Field::ClassPorts, None, both));
        }
        ports.push(Ports { first, last });
    }
    Ok(ports)
}

fn byte_match(bytes: &mut Bytes<'_>) -> Result<ByteMatch, Bad> {
    let &[protocol, offset, len, reserved] = bytes.array()?;
    let (mask, value) = (bytes.u32()?, bytes.u32()?);
    let bad = |value: u8| (Field::ClassMatch, None, u64::from(value));
    let transport = Proto::from_number(protocol).ok_or(bad(protocol))?;
    let one = ByteMatch {
        transport,
        offset,
        len,
        mask,
        value,
    };
    if reserved != 0 {
        return Err((Field::Reserved, None, u64::from(reserved)));
    }
    match one.is_fit() {
        true => Ok(one),
        false => Err(bad(offset)),
    }
}

/// Writes the classes of a file; nothing where a count does not fit its field.
pub(super) fn write(classes: &[NamedClass], out: &mut Vec<u8>) -> Option<()> {
    let mut known: BTreeMap<&[Prefix], u32> = BTreeMap::new();
    let mut lists: Vec<&[Prefix]> = Vec::new();
    for one in classes {
        for list in [&one.class.dst, &one.class.src] {
            if !list.is_empty() && !known.contains_key(&list[..]) {
                known.insert(list, u32::try_from(lists.len()).ok()?);
                lists.push(list);
            }
        }
    }
    out.extend(u32::try_from(lists.len()).ok()?.to_le_bytes());
    for list in lists {
        out.extend(u16::try_from(list.len()).ok()?.to_le_bytes());
        for prefix in list {
            let (family, addr) = match prefix.addr {
                Addr::V4([a, b, c, d]) => (1, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                Addr::V6(bytes) => (2, bytes),
            };
            out.extend([family, prefix.len]);
            out.extend(addr);
        }
    }
    out.extend(u32::try_from(classes.len()).ok()?.to_le_bytes());
    for NamedClass { name, class } in classes {
        let list = |list: &Vec<Prefix>| known.get(&list[..]).copied().unwrap_or(NO_LIST);
        out.extend(class.priority.to_le_bytes());
        out.extend(class.service.to_le_bytes());
        out.extend([
            class.protocols.bits(),
            u8::try_from(class.matches.len()).ok()?,
        ]);
        out.extend(list(&class.dst).to_le_bytes());
        out.extend(list(&class.src).to_le_bytes());
        for count in [class.dport.len(), class.sport.len()] {
            out.extend(u16::try_from(count).ok()?.to_le_bytes());
        }
        out.extend(class.udp_encap.unwrap_or(0).to_le_bytes());
        out.extend(u16::try_from(name.len()).ok()?.to_le_bytes());
        for range in class.dport.iter().chain(&class.sport) {
            out.extend(range.first.to_le_bytes());
            out.extend(range.last.to_le_bytes());
        }
        for one in &class.matches {
            out.extend([one.transport.number(), one.offset, one.len, 0]);
            out.extend(one.mask.to_le_bytes());
            out.extend(one.value.to_le_bytes());
        }
        out.extend(name.as_bytes());
    }
    Some(())
}
