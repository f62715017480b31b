// SPDX-License-Identifier: GPL-2.0

//! What an attribute may be, as `core/src/netlink/family.rs` says it.

use crate::family::{Attribute, Family};
use crate::names::path;
use anyhow::{bail, ensure, Context, Result};

/// A `Form`, as Rust.
pub(crate) fn form(family: &Family, attribute: &Attribute) -> Result<String> {
    let checks = &attribute.checks;
    let bound = |bound: &Option<_>| bound.as_ref().map(|bound| family.bound(bound)).transpose();
    let (min, max) = (bound(&checks.min)?, bound(&checks.max)?);
    let exact = bound(&checks.exact_len)?;
    let min_len = exact.or(bound(&checks.min_len)?);
    let max_len = exact.or(bound(&checks.max_len)?);
    let number = |name: &str, most: u32| -> Result<String> {
        ensure!(
            min_len.is_none() && max_len.is_none(),
            "a number has no length"
        );
        let (from, to) = named(family, attribute)?.unwrap_or((0, most));
        let (from, to) = (min.unwrap_or(from), max.unwrap_or(to));
        ensure!(from <= to && to <= most, "no {name} is from {from} to {to}");
        Ok(format!(
            "Form::{name}({from}, {})",
            if to == most {
                format!("{}::MAX", name.to_lowercase())
            } else {
                to.to_string()
            }
        ))
    };
    let bytes = || {
        ensure!(
            min.is_none() && max.is_none(),
            "bytes have no bounds but of their length"
        );
        let most = max_len.unwrap_or(u32::from(u16::MAX));
        ensure!(
            most <= u32::from(u16::MAX),
            "an attribute is not longer than {}",
            u16::MAX
        );
        Ok((min_len.unwrap_or(0), most))
    };
    Ok(match attribute.kind.as_str() {
        "u8" => number("U8", u8::MAX.into())?,
        "u16" => number("U16", u16::MAX.into())?,
        "u32" => number("U32", u32::MAX)?,
        "uint" => {
            ensure!(
                min.is_none() && max.is_none(),
                "the bounds of a uint are not known here"
            );
            "Form::Uint".to_owned()
        }
        "binary" => {
            let (least, most) = bytes()?;
            format!("Form::Bytes({least}, {most})")
        }
        "string" => {
            let (least, most) = bytes()?;
            ensure!(least == 0, "the least length of a string is not known here");
            format!("Form::Text({most})")
        }
        "nest" => {
            let set = attribute.nested_attributes.as_ref();
            let set = set.context("a nest without nested-attributes")?;
            format!("Form::Nest(&{}::SET)", path(&family.set(set)?.name))
        }
        other => bail!("the type {other:?} is not known here"),
    })
}

/// From where to where the numbers go that have names, where they have no gaps.
fn named(family: &Family, attribute: &Attribute) -> Result<Option<(u32, u32)>> {
    let Some(names) = &attribute.names else {
        return Ok(None);
    };
    let definition = family.definition(names)?;
    let entries = definition.entries();
    let most = match attribute.enum_as_flags {
        true => Some(entries.keys().sum()),
        false => entries
            .keys()
            .max()
            .copied()
            .filter(|_| definition.is_counted()),
    };
    Ok(most.map(|most| (0, most)))
}
