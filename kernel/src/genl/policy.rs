// SPDX-License-Identifier: GPL-2.0

//! What attributes a command takes. The kernel refuses all others before a handler runs, and says which.
//!
//! C header: `include/net/netlink.h`, `struct nla_policy`
//!
//! Policies are made by the compiler. What panics here is an error of its own; `#[inline]` keeps it out of the modules, which
//! call none of it.

use crate::bindings;
use glb_core::netlink::family::{Form, Set};

type Value = bindings::nla_policy__bindgen_ty_1;

/// What one attribute may be.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Rule(bindings::nla_policy);

// SAFETY: Rules are constants; the pointers in them lead to other constants.
unsafe impl Sync for Rule {}

impl Rule {
    /// The attribute is refused.
    pub const REFUSED: Self = Self::plain(bindings::NLA_REJECT, 0);

    const fn of(kind: u32, validation: u32, len: u16) -> Self {
        Self(bindings::nla_policy {
            // The casts are exact: both enumerations are small.
            type_: kind as u8,
            validation_type: validation as u8,
            len,
            __bindgen_anon_1: Value {
                nested_policy: core::ptr::null(),
            },
        })
    }

    const fn plain(kind: u32, len: u16) -> Self {
        Self::of(kind, bindings::nla_policy_validation_NLA_VALIDATE_NONE, len)
    }

    const fn range(kind: u32, min: i16, max: i16) -> Self {
        let mut rule = Self::of(kind, bindings::nla_policy_validation_NLA_VALIDATE_RANGE, 0);
        rule.0.__bindgen_anon_1 = Value {
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min, max },
        };
        rule
    }

    const fn at_least(kind: u32, min: i16) -> Self {
        let mut rule = Self::of(kind, bindings::nla_policy_validation_NLA_VALIDATE_MIN, 0);
        rule.0.__bindgen_anon_1 = Value {
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min, max: 0 },
        };
        rule
    }

    /// The rule that is in the specification, as far as the kernel's bounds of 16 bits and a sign can say it: the handler
    /// looks at the others, and says more of what is wrong.
    #[inline]
    const fn from_form(form: Form) -> Self {
        const MOST: u16 = i16::MAX as u16;
        match form {
            Form::U8(0, u8::MAX) => Self::plain(bindings::NLA_U8, 0),
            Form::U8(min, max) => Self::range(bindings::NLA_U8, min as i16, max as i16),
            Form::U16(min, max @ 0..=MOST) => {
                Self::range(bindings::NLA_U16, min as i16, max as i16)
            }
            Form::U16(min @ 1..=MOST, _) => Self::at_least(bindings::NLA_U16, min as i16),
            Form::U16(..) => Self::plain(bindings::NLA_U16, 0),
            Form::U32(..) => Self::plain(bindings::NLA_U32, 0),
            Form::Uint => Self::plain(bindings::NLA_UINT, 0),
            Form::Bytes(0, max) => Self::plain(bindings::NLA_BINARY, max),
            Form::Bytes(min, max @ 0..=MOST) => {
                Self::range(bindings::NLA_BINARY, min as i16, max as i16)
            }
            Form::Bytes(..) => panic!("the kernel's bounds of a length cannot say this"),
            Form::Text(max) => Self::plain(bindings::NLA_NUL_STRING, max),
            Form::Nest(_) => panic!("a nest in a nest"),
        }
    }

    /// Attributes.
    pub const fn nested<const N: usize>(policy: &'static [Rule; N]) -> Self {
        // The cast is exact: attribute types have 14 bits.
        let mut rule = Self::plain(bindings::NLA_NESTED, (N - 1) as u16);
        rule.0.__bindgen_anon_1 = Value {
            nested_policy: policy.as_ptr().cast(),
        };
        rule
    }

    pub(super) const fn as_ptr(rules: &'static Rules) -> *const bindings::nla_policy {
        rules.as_ptr().cast()
    }
}

/// More than the attributes of any set.
const MOST: usize = 32;

/// A policy, by attribute types.
pub type Rules = [Rule; MOST];

/// One more than the highest of these types: the rules of their policy.
#[inline]
pub(super) const fn room(takes: &[u16]) -> usize {
    let mut most = 0;
    let mut rest = takes;
    while let [kind, behind @ ..] = rest {
        if *kind > most {
            most = *kind;
        }
        rest = behind;
    }
    most as usize + 1
}

/// The policy of a request that takes these attributes of a set; all others are refused. `nests` are the rules of those that hold
/// attributes.
///
/// To be used in constants, where what does not go together is an error of the compiler's.
#[inline]
pub(super) const fn policy(set: &Set, takes: &[u16], nests: &[(u16, Rule)]) -> Rules {
    let mut policy = [Rule::REFUSED; MOST];
    let mut rest = takes;
    while let [kind, behind @ ..] = rest {
        let attribute = &set.attributes[*kind as usize - 1];
        assert!(attribute.number == *kind);
        policy[*kind as usize] = match attribute.form {
            Form::Nest(_) => rule_of(*kind, nests),
            form => Rule::from_form(form),
        };
        rest = behind;
    }
    policy
}

#[inline]
const fn rule_of(kind: u16, nests: &[(u16, Rule)]) -> Rule {
    let mut rest = nests;
    while let [(nest, rule), behind @ ..] = rest {
        if *nest == kind {
            return *rule;
        }
        rest = behind;
    }
    panic!("NESTS lacks the rule of an attribute that holds attributes")
}

/// The rules of the policy of a whole set.
#[inline]
pub const fn nest_room(set: &Set) -> usize {
    set.attributes.len() + 1
}

/// The policy of an attribute that holds all attributes of a set, none of which holds others. For statics, which
/// [`Rule::nested`] leads to.
pub const fn nest<const N: usize>(set: &Set) -> [Rule; N] {
    let mut policy = [Rule::REFUSED; N];
    let mut rest = set.attributes;
    while let [attribute, behind @ ..] = rest {
        policy[attribute.number as usize] = Rule::from_form(attribute.form);
        rest = behind;
    }
    policy
}
