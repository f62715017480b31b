// SPDX-License-Identifier: GPL-2.0

//! The text forms of the settings of `core/src/settings.rs`: on a command line and in JSON.

use crate::read::{prefix, Node, Reader};
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_core::settings::{Form, Prefixes, Value, MAX_PREFIXES};
use serde_json::{json, Value as Json};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The fields of a hash, and their names.
pub const FIELDS: [(HashFields, &str); 4] = [
    (HashFields::SRC_ADDR, "src_addr"),
    (HashFields::DST_ADDR, "dst_addr"),
    (HashFields::SRC_PORT, "src_port"),
    (HashFields::DST_PORT, "dst_port"),
];

/// What stands for a value that is not set, on a command line.
const NONE: &str = "none";

/// The names of these fields, in the order of the hash.
#[must_use]
pub fn field_names(fields: HashFields) -> Vec<&'static str> {
    let enabled = FIELDS
        .into_iter()
        .filter(|(field, _)| fields.contains(*field));
    enabled.map(|(_, name)| name).collect()
}

/// Whether a setting of this form may be none.
#[must_use]
pub fn may_be_none(form: Form) -> bool {
    match form {
        Form::V4 | Form::V6 | Form::Mac | Form::OptionalFields | Form::Prefixes => true,
        Form::Fields | Form::Flag | Form::Number(..) => false,
    }
}

/// What is expected of a setting of this form, for people.
#[must_use]
pub fn expected(form: Form) -> String {
    let what = match form {
        Form::V4 => "an IPv4 address".to_owned(),
        Form::V6 => "an IPv6 address".to_owned(),
        Form::Mac => "six pairs of hexadecimal digits with colons between, as in 00:11:22:aa:bb:cc"
            .to_owned(),
        Form::Fields | Form::OptionalFields => {
            let names = FIELDS.map(|(_, name)| name).join(", ");
            format!("comma-separated hash fields (there are {names})")
        }
        Form::Flag => "true or false".to_owned(),
        Form::Number(least, most) => format!("a whole number from {least} to {most}"),
        Form::Prefixes => {
            format!("at most {MAX_PREFIXES} comma-separated addresses or prefixes, as in 10.0.0.0/8")
        }
    };
    match may_be_none(form) {
        true => format!("{what}, or none"),
        false => what,
    }
}

/// A value as it stands on a command line; an error says what is expected.
pub fn parse(form: Form, text: &str) -> Result<Value, String> {
    if text == NONE && may_be_none(form) {
        return Ok(none(form));
    }
    let value = match form {
        Form::V4 => text
            .parse()
            .ok()
            .map(|addr: Ipv4Addr| Value::V4(Some(addr.octets()))),
        Form::V6 => text
            .parse()
            .ok()
            .map(|addr: Ipv6Addr| Value::V6(Some(addr.octets()))),
        Form::Mac => parse_mac(text).map(|mac| Value::Mac(Some(mac))),
        Form::Fields | Form::OptionalFields => parse_fields(text),
        Form::Flag => text.parse().ok().map(Value::Flag),
        Form::Number(least, most) => text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Value::Number),
        Form::Prefixes => parse_prefixes(text.split(',')),
    };
    value.ok_or_else(|| format!("expected {}", expected(form)))
}

/// What [`parse`] reads.
#[must_use]
pub fn text(value: Value) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    match value {
        Value::V4(addr) => or_none(addr.map(|addr| Ipv4Addr::from(addr).to_string())),
        Value::V6(addr) => or_none(addr.map(|addr| Ipv6Addr::from(addr).to_string())),
        Value::Mac(mac) => or_none(mac.map(mac_text)),
        Value::Fields(fields) => or_none(fields.map(|fields| field_names(fields).join(","))),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Prefixes(all) => or_none((!all.is_empty()).then(|| prefix_texts(&all).join(","))),
    }
}

/// A value in what commands print: null for none, fields and prefixes as a list.
#[must_use]
pub fn json(value: Value) -> Json {
    match value {
        Value::V4(None) | Value::V6(None) | Value::Mac(None) | Value::Fields(None) => Json::Null,
        Value::V4(_) | Value::V6(_) | Value::Mac(_) => json!(text(value)),
        Value::Fields(Some(fields)) => json!(field_names(fields)),
        Value::Flag(flag) => json!(flag),
        Value::Number(number) => json!(number),
        Value::Prefixes(all) if all.is_empty() => Json::Null,
        Value::Prefixes(all) => json!(prefix_texts(&all)),
    }
}

/// A value in `director.conf`, as deployed directors read it too: fields as an object.
#[must_use]
pub fn file_json(value: Value) -> Json {
    match value {
        Value::Fields(Some(fields)) => FIELDS
            .into_iter()
            .map(|(field, name)| (name.to_owned(), json!(fields.contains(field))))
            .collect(),
        other => json(other),
    }
}

/// A value of `director.conf`.
pub(crate) fn read(reader: &mut Reader, node: &Node<'_>, form: Form) -> Option<Value> {
    match form {
        Form::V4 | Form::V6 | Form::Mac => {
            let text = reader.string(node)?;
            let value = parse(form, text).ok().filter(|value| *value != none(form));
            if value.is_none() {
                let what = expected(form);
                let what = what.trim_end_matches(", or none");
                reader.error(node, format!("must be {what}"));
            }
            value
        }
        Form::Fields | Form::OptionalFields => read_fields(reader, node),
        Form::Flag => reader.boolean(node).map(Value::Flag),
        Form::Number(least, most) => reader.integer(node, least..=most).map(Value::Number),
        Form::Prefixes => read_prefixes(reader, node),
    }
}

/// The value that is none.
fn none(form: Form) -> Value {
    match form {
        Form::V4 => Value::V4(None),
        Form::V6 => Value::V6(None),
        Form::Mac => Value::Mac(None),
        Form::Fields | Form::OptionalFields => Value::Fields(None),
        Form::Flag => Value::Flag(false),
        Form::Number(..) => Value::Number(0),
        Form::Prefixes => Value::Prefixes(Prefixes::NONE),
    }
}

fn prefix_texts(all: &Prefixes) -> Vec<String> {
    all.iter()
        .map(|(addr, bits)| {
            let text = match addr {
                Addr::V4(addr) => Ipv4Addr::from(*addr).to_string(),
                Addr::V6(addr) => Ipv6Addr::from(*addr).to_string(),
            };
            match *bits == addr.bits() {
                true => text,
                false => format!("{text}/{bits}"),
            }
        })
        .collect()
}

fn parse_prefixes<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Value> {
    let mut all = Prefixes::NONE;
    for text in texts {
        let (addr, bits) = prefix(text).ok()?;
        all.add(addr, bits).ok()?;
    }
    Some(Value::Prefixes(all))
}

fn read_prefixes(reader: &mut Reader, node: &Node<'_>) -> Option<Value> {
    let mut all = Prefixes::NONE;
    let mut good = true;
    for item in reader.array(node)? {
        let Some((addr, bits)) = reader.prefix(&item) else {
            good = false;
            continue;
        };
        if all.add(addr, bits).is_err() {
            reader.error(&item, format!("is one too many: at most {MAX_PREFIXES}"));
            return None;
        }
    }
    good.then_some(Value::Prefixes(all))
}

fn parse_fields(text: &str) -> Option<Value> {
    let mut bits = 0;
    for name in text.split(',') {
        let (field, _) = FIELDS.into_iter().find(|(_, field)| *field == name)?;
        bits |= field.bits();
    }
    HashFields::from_bits(bits).map(|fields| Value::Fields(Some(fields)))
}

fn read_fields(reader: &mut Reader, node: &Node<'_>) -> Option<Value> {
    let object = reader.object(node, &FIELDS.map(|(_, name)| name))?;
    let mut bits = 0;
    let mut good = true;
    for (field, name) in FIELDS {
        let Some(node) = object.get(name) else {
            continue;
        };
        match reader.boolean(&node) {
            Some(true) => bits |= field.bits(),
            Some(false) => {}
            None => good = false,
        }
    }
    let fields = HashFields::from_bits(bits);
    if good && fields.is_none() {
        reader.error(node, "at least one field must be true");
    }
    fields
        .filter(|_| good)
        .map(|fields| Value::Fields(Some(fields)))
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Six numbers of one byte or three of two, as the deployed directors take them: with colons between (as
/// DPDK reads them), or with hyphens or dots (as Go does).
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let separator = text.chars().find(|c| ":-.".contains(*c))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let digits = match parts.len() {
        6 if separator != '.' => 2,
        3 if separator != '-' => 4,
        _ => return None,
    };
    let mut mac = Vec::with_capacity(6);
    for part in parts {
        // Digits only: `from_str_radix` alone would take "+8".
        let good =
            (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u16::from_str_radix(part, 16).ok().filter(|_| good)?;
        let bytes = number.to_be_bytes();
        mac.extend_from_slice(if digits == 2 { &bytes[1..] } else { &bytes });
    }
    mac.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_core::settings::{Setting, Settings};

    #[test]
    fn what_is_shown_is_what_is_read() {
        for setting in Setting::ALL {
            let value = Settings::DEFAULT.get(setting);
            assert_eq!(parse(setting.form, &text(value)), Ok(value));
            let bad = parse(setting.form, "x").expect_err("no value");
            assert!(bad.starts_with("expected "), "{bad}");
            assert_eq!(
                parse(setting.form, NONE).is_ok(),
                may_be_none(setting.form),
                "{}",
                setting.field
            );
        }
        for (form, shown) in [
            (Form::V4, "10.0.0.1"),
            (Form::V6, "fd00::1"),
            (Form::Mac, "02:00:00:00:00:0a"),
            (Form::Fields, "src_addr,dst_port"),
            (Form::Number(1, 9), "9"),
            (Form::Prefixes, "192.0.2.1,10.0.0.0/8,fd00::/64"),
        ] {
            assert_eq!(parse(form, shown).map(text).as_deref(), Ok(shown));
        }
        for (form, bad) in [
            (Form::Mac, "0:1:2:3:4"),
            (Form::Mac, "+0:01:02:03:04:05"),
            (Form::Fields, ""),
            (Form::Fields, "src_addr,"),
            (Form::Number(1, 9), "10"),
            (Form::Prefixes, ""),
            (Form::Prefixes, "10.0.0.0/33"),
            (Form::Prefixes, "10.0.0.0/8,"),
        ] {
            assert!(parse(form, bad).is_err(), "{bad}");
        }
    }
}
