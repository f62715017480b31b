// SPDX-License-Identifier: GPL-2.0

//! What attributes a command takes. The kernel refuses all others before a handler runs, and says which.
//!
//! C header: `include/net/netlink.h`, `struct nla_policy`

use crate::bindings;

type Value = bindings::nla_policy__bindgen_ty_1;

/// What one attribute may be.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Rule(bindings::nla_policy);

// SAFETY: Rules are constants; the pointers in them lead to other constants.
unsafe impl Sync for Rule {}

impl Rule {
    /// The attribute is refused.
    pub const REFUSED: Self = Self::of(
        bindings::NLA_REJECT,
        bindings::nla_policy_validation_NLA_VALIDATE_NONE,
        0,
    );
    /// A number of 8 bits.
    pub const U8: Self = Self::of(
        bindings::NLA_U8,
        bindings::nla_policy_validation_NLA_VALIDATE_NONE,
        0,
    );
    /// A number of 16 bits.
    pub const U16: Self = Self::of(
        bindings::NLA_U16,
        bindings::nla_policy_validation_NLA_VALIDATE_NONE,
        0,
    );
    /// A number of 32 bits.
    pub const U32: Self = Self::of(
        bindings::NLA_U32,
        bindings::nla_policy_validation_NLA_VALIDATE_NONE,
        0,
    );
    /// A number of 32 or 64 bits.
    pub const UINT: Self = Self::of(
        bindings::NLA_UINT,
        bindings::nla_policy_validation_NLA_VALIDATE_NONE,
        0,
    );

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

    const fn range(kind: u32, min: i16, max: i16) -> Self {
        let mut rule = Self::of(kind, bindings::nla_policy_validation_NLA_VALIDATE_RANGE, 0);
        rule.0.__bindgen_anon_1 = Value {
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min, max },
        };
        rule
    }

    /// A number of 8 bits within bounds.
    pub const fn u8_in(min: u8, max: u8) -> Self {
        Self::range(bindings::NLA_U8, min as i16, max as i16)
    }

    /// A number of 16 bits that is not below `min`.
    pub const fn u16_from(min: i16) -> Self {
        let mut rule = Self::of(
            bindings::NLA_U16,
            bindings::nla_policy_validation_NLA_VALIDATE_MIN,
            0,
        );
        rule.0.__bindgen_anon_1 = Value {
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min, max: 0 },
        };
        rule
    }

    /// Bytes, so many.
    pub const fn bytes(min: i16, max: i16) -> Self {
        Self::range(bindings::NLA_BINARY, min, max)
    }

    /// Bytes, up to `max`.
    pub const fn bytes_to(max: u16) -> Self {
        Self::of(
            bindings::NLA_BINARY,
            bindings::nla_policy_validation_NLA_VALIDATE_NONE,
            max,
        )
    }

    /// A text with a zero at its end, which `max` does not count.
    pub const fn text(max: u16) -> Self {
        Self::of(
            bindings::NLA_NUL_STRING,
            bindings::nla_policy_validation_NLA_VALIDATE_NONE,
            max,
        )
    }

    /// Attributes.
    pub const fn nested<const N: usize>(policy: &'static [Rule; N]) -> Self {
        // The cast is exact: attribute types have 14 bits.
        let mut rule = Self::of(
            bindings::NLA_NESTED,
            bindings::nla_policy_validation_NLA_VALIDATE_NONE,
            (N - 1) as u16,
        );
        rule.0.__bindgen_anon_1 = Value {
            nested_policy: policy.as_ptr().cast(),
        };
        rule
    }

    pub(super) const fn as_ptr(rules: &'static [Rule]) -> *const bindings::nla_policy {
        rules.as_ptr().cast()
    }
}

/// A policy of `N - 1` attributes: their types and rules; those that are not named are refused.
///
/// To be used in constants, where a type that is too high is an error of the compiler's.
pub const fn policy<const N: usize>(rules: &[(u16, Rule)]) -> [Rule; N] {
    let mut policy = [Rule::REFUSED; N];
    let mut rest = rules;
    while let [(kind, rule), behind @ ..] = rest {
        policy[*kind as usize] = *rule;
        rest = behind;
    }
    policy
}
