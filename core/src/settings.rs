// SPDX-License-Identifier: GPL-2.0

//! The settings of a director, one line each. Everything that handles settings is derived from these lines.
//!
//! A line has the number of the netlink attribute, the name in capitals and in small letters, the name in
//! `director.conf` where it differs, the type, the bounds of a number, the default, and the purpose of the setting.
//! Derived from it are
//!
//! * [`Settings`], which the module publishes and the packet path reads,
//! * the commands `config-set` and `config-get`, in the module and in `userspace/glb-netlink`,
//! * `glbctl config set`, `show`, `load` and `check`, its manual, and the reader of `director.conf`,
//! * by `make spec` the attributes in `spec/glb.yaml`, the JSON Schemas, and the tables in `docs/director.md` and
//!   `docs/formats.md`.
//!
//! A new type needs a variant in [`Form`] and in [`Value`]; the compiler then names the places that must handle it.

use crate::director::select::hash::HashFields;
use crate::packet::addr::Addr;
use crate::packet::gue;
use crate::packet::prefixes;

/// Most prefixes of a setting of [`Form::Prefixes`].
pub const MAX_PREFIXES: usize = 8;

/// The prefixes of a setting.
pub type Prefixes = prefixes::Prefixes<MAX_PREFIXES>;

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The IPv4 address of a host, or none.
    V4,
    /// The IPv6 address of a host, or none.
    V6,
    /// The Ethernet address of a station, or none.
    Mac,
    /// At least one field of a packet.
    Fields,
    /// At least one field of a packet, or none.
    OptionalFields,
    /// Yes or no.
    Flag,
    /// A number from the first to the second.
    Number(u16, u16),
    /// Up to [`MAX_PREFIXES`] prefixes, or none.
    Prefixes,
}

/// What a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// For [`Form::V4`].
    V4(Option<[u8; 4]>),
    /// For [`Form::V6`].
    V6(Option<[u8; 16]>),
    /// For [`Form::Mac`].
    Mac(Option<[u8; 6]>),
    /// For [`Form::Fields`], where it is never none, and for [`Form::OptionalFields`].
    Fields(Option<HashFields>),
    /// For [`Form::Flag`].
    Flag(bool),
    /// For [`Form::Number`].
    Number(u16),
    /// For [`Form::Prefixes`].
    Prefixes(Prefixes),
}

/// A type that holds a setting.
trait Held: Copy {
    fn value(self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! held {
    ($($type:ty = $value:ident),*) => {
        $(impl Held for $type {
            #[inline]
            fn value(self) -> Value {
                Value::$value(self)
            }
            #[inline]
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$value(held) => Some(held),
                    _ => None,
                }
            }
        })*
    };
}

held!(
    Option<[u8; 4]> = V4,
    Option<[u8; 16]> = V6,
    Option<[u8; 6]> = Mac,
    Option<HashFields> = Fields,
    bool = Flag,
    u16 = Number,
    Prefixes = Prefixes
);

impl Held for HashFields {
    #[inline]
    fn value(self) -> Value {
        Value::Fields(Some(self))
    }
    #[inline]
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Fields(fields) => fields,
            _ => None,
        }
    }
}

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Number of its netlink attribute.
    pub number: u16,
    /// Its name in what `glbctl --json config show` prints.
    pub field: &'static str,
    /// Its name in `director.conf`: the same, unless deployed directors have another.
    pub file: &'static str,
    /// Its name in `spec/glb.yaml`, and as an option of `glbctl config set`.
    pub option: &'static str,
    /// What it may be.
    pub form: Form,
    /// What it is for.
    pub doc: &'static str,
}

/// Names with hyphens in the place of underscores.
const fn hyphens<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [b'-'; N];
    let (mut rest, mut at) = (name.as_bytes(), 0);
    while let [byte, behind @ ..] = rest {
        if *byte != b'_' {
            bytes[at] = *byte;
        }
        at += 1;
        rest = behind;
    }
    bytes
}

macro_rules! settings {
    ($($number:literal $name:ident $field:ident $($file:literal)?: $type:ty as $form:expr, $default:expr, $doc:literal;)*) => {
        /// The settings of a director; immutable once published.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $doc] pub $field: $type,)*
        }

        impl Settings {
            /// The settings of a deployed director with an empty configuration.
            pub const DEFAULT: Self = Self { $($field: $default,)* };

            /// What a setting is.
            #[must_use]
            pub fn get(&self, setting: &Setting) -> Value {
                match setting.number {
                    $($number => Held::value(self.$field),)*
                    // There are no others.
                    _ => Value::Flag(false),
                }
            }

            /// Changes a setting; an error says why it cannot be that.
            pub fn set(&mut self, setting: &Setting, value: Value) -> Result<(), &'static str> {
                setting.form.judge(value)?;
                match setting.number {
                    $($number => self.$field = Held::from_value(value).ok_or(OTHER_TYPE)?,)*
                    _ => return Err(OTHER_TYPE),
                }
                Ok(())
            }
        }

        impl Setting {
            $(#[doc = $doc] pub const $name: Self = Self {
                number: $number,
                field: stringify!($field),
                file: {
                    let names: &[&'static str] = &[$($file,)? stringify!($field)];
                    match names {
                        [name, ..] => name,
                        [] => "",
                    }
                },
                option: {
                    const NAME: [u8; stringify!($field).len()] = hyphens(stringify!($field));
                    match core::str::from_utf8(&NAME) {
                        Ok(name) => name,
                        Err(_) => stringify!($field),
                    }
                },
                form: $form,
                doc: $doc,
            };)*

            /// Every setting, in the order of the attributes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

settings! {
    1 SOURCE_V4 source_v4: Option<[u8; 4]> as Form::V4, None,
        "Source address of outer IPv4 headers; if none, the source address of the route.";
    2 SOURCE_V6 source_v6: Option<[u8; 16]> as Form::V6, None,
        "Source address of outer IPv6 headers; if none, the source address of the route.";
    3 GATEWAY_MAC gateway_mac "outbound_gateway_mac": Option<[u8; 6]> as Form::Mac, None,
        "Destination MAC address of all packets; if none, the neighbour of the route.";
    4 HASH_FIELDS hash_fields: HashFields as Form::Fields, HashFields::DEFAULT,
        "The packet fields that are hashed.";
    5 ALT_HASH_FIELDS alt_hash_fields: Option<HashFields> as Form::OptionalFields, None,
        "A second set of hashed fields. Its hops are appended. Rows may then have 15 hops, 4 with IPv6 backends.";
    6 FORWARD_ICMP_PING_RESPONSES forward_icmp_ping_responses: bool as Form::Flag, true,
        "Whether echo requests to bound addresses go to a backend.";
    7 UDP_PORT udp_port: u16 as Form::Number(1, u16::MAX), gue::PORT,
        "Destination port of the outer UDP header.";
    8 UDP_CHECKSUM udp_checksum: bool as Form::Flag, false,
        "Whether the outer UDP header has a checksum. Deployed directors send 0, which receivers accept.";
    9 SEGMENT_TCP segment_tcp: bool as Form::Flag, false,
        "Whether a TCP packet that does not fit the path is segmented; otherwise its sender gets an ICMP error.";
    10 RETURN_EXCEPT return_except: Prefixes as Form::Prefixes, Prefixes::NONE,
        "Prefixes of other directors and monitors, which ask backends by their own addresses; what backends answer them passes devices with the role return as it is.";
}

/// A value of another setting's type.
const OTHER_TYPE: &str = "is of another type";

impl Setting {
    /// The setting with this attribute.
    #[must_use]
    pub fn by_number(number: u16) -> Option<&'static Self> {
        Self::ALL.iter().find(|setting| setting.number == number)
    }
}

impl Form {
    /// Why a setting of this form cannot be that.
    fn judge(self, value: Value) -> Result<(), &'static str> {
        const NO_HOST: &str = "not the address of a host";
        match (self, value) {
            (Self::V4, Value::V4(Some([0 | 127 | 224..=255, ..]))) => Err(NO_HOST),
            (Self::V6, Value::V6(Some([0xff, ..]))) => Err(NO_HOST),
            (Self::Mac, Value::Mac(Some([first, ..]))) if first & 1 != 0 => {
                Err("a multicast address is no gateway's")
            }
            (Self::Fields, Value::Fields(None)) => Err("at least one field must be hashed"),
            (Self::Number(least, most), Value::Number(number))
                if number < least || number > most =>
            {
                Err("not within its bounds")
            }
            (Self::V4, Value::V4(_))
            | (Self::V6, Value::V6(_))
            | (Self::Mac, Value::Mac(_))
            | (Self::Fields | Self::OptionalFields, Value::Fields(_))
            | (Self::Flag, Value::Flag(_))
            | (Self::Number(..), Value::Number(_))
            | (Self::Prefixes, Value::Prefixes(_)) => Ok(()),
            _ => Err(OTHER_TYPE),
        }
    }
}

/// Bytes of a prefix in an attribute: family (4 or 6), bits, address; an IPv4 address has zeros behind it.
pub const PREFIX_LEN: usize = 18;

fn read_prefix(&[family, bits, ref address @ ..]: &[u8; PREFIX_LEN]) -> Option<(Addr, u8)> {
    let address = match (family, address) {
        (4, &[a, b, c, d, ref zeros @ ..]) if *zeros == [0; 12] => Addr::V4([a, b, c, d]),
        (6, address) => Addr::V6(*address),
        _ => return None,
    };
    Some((address, bits))
}

fn write_prefix((address, bits): (Addr, u8)) -> [u8; PREFIX_LEN] {
    let mut bytes = [0; PREFIX_LEN];
    let [family, of_bits, place @ ..] = &mut bytes;
    *of_bits = bits;
    match address {
        Addr::V4(address) => {
            *family = 4;
            let [a, b, c, d, ..] = place;
            [*a, *b, *c, *d] = address;
        }
        Addr::V6(address) => {
            *family = 6;
            *place = address;
        }
    }
    bytes
}

/// The form of an attribute, and of what a director is sent.
impl Form {
    /// The value of a netlink attribute's payload, with numbers in the byte order of the machine. An address of all
    /// zeros means none, and so does an empty set of fields. Prefixes stand one behind the other, each in [`PREFIX_LEN`] bytes.
    #[must_use]
    pub fn decode(self, payload: &[u8]) -> Option<Value> {
        fn some<const N: usize>(payload: &[u8]) -> Option<Option<[u8; N]>> {
            let bytes: [u8; N] = payload.try_into().ok()?;
            Some(if bytes == [0; N] { None } else { Some(bytes) })
        }
        Some(match self {
            Self::V4 => Value::V4(some(payload)?),
            Self::V6 => Value::V6(some(payload)?),
            Self::Mac => Value::Mac(some(payload)?),
            Self::Fields | Self::OptionalFields => match payload {
                [0] => Value::Fields(None),
                [bits] => Value::Fields(Some(HashFields::from_bits(*bits)?)),
                _ => return None,
            },
            Self::Flag => match payload {
                [0] => Value::Flag(false),
                [1] => Value::Flag(true),
                _ => return None,
            },
            Self::Number(..) => Value::Number(u16::from_ne_bytes(payload.try_into().ok()?)),
            Self::Prefixes => {
                let mut all = Prefixes::NONE;
                let mut rest = payload;
                while let Some((one, behind)) = rest.split_first_chunk::<PREFIX_LEN>() {
                    let (address, bits) = read_prefix(one)?;
                    all.add(address, bits).ok()?;
                    rest = behind;
                }
                match rest {
                    [] => Value::Prefixes(all),
                    _ => return None,
                }
            }
        })
    }
}

impl Value {
    /// Whether this is an address that is not set, or no prefixes. Such an attribute is omitted from answers.
    #[must_use]
    pub const fn is_unset_address(self) -> bool {
        match self {
            Self::V4(None) | Self::V6(None) | Self::Mac(None) => true,
            Self::Prefixes(prefixes) => prefixes.is_empty(),
            _ => false,
        }
    }

    /// Passes the payload of the netlink attribute to `put`; [`Form::decode`] reads it.
    pub fn encode<T>(self, put: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::V4(addr) => put(&addr.unwrap_or([0; 4])),
            Self::V6(addr) => put(&addr.unwrap_or([0; 16])),
            Self::Mac(addr) => put(&addr.unwrap_or([0; 6])),
            Self::Fields(fields) => put(&[fields.map_or(0, HashFields::bits)]),
            Self::Flag(flag) => put(&[u8::from(flag)]),
            Self::Number(number) => put(&number.to_ne_bytes()),
            Self::Prefixes(prefixes) => {
                let mut bytes = [[0; PREFIX_LEN]; MAX_PREFIXES];
                let mut len = 0_usize;
                for (place, prefix) in bytes.iter_mut().zip(prefixes.iter()) {
                    *place = write_prefix(*prefix);
                    len = len.wrapping_add(PREFIX_LEN);
                }
                put(bytes.as_flattened().get(..len).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of both families, and as many as there may be.
    fn prefixes() -> Prefixes {
        let mut all = Prefixes::NONE;
        for n in 0..4 {
            all.add(Addr::V4([10, n, 0, 0]), 16).unwrap();
            all.add(Addr::V6([n; 16]), 128 - n).unwrap();
        }
        all
    }

    /// A good value that is not the default.
    fn other(setting: &Setting) -> Value {
        match (setting.form, Settings::DEFAULT.get(setting)) {
            (Form::V4, _) => Value::V4(Some([10, 0, 0, 1])),
            (Form::V6, _) => Value::V6(Some([0xfd; 16])),
            (Form::Mac, _) => Value::Mac(Some([2; 6])),
            (Form::Fields | Form::OptionalFields, _) => Value::Fields(HashFields::from_bits(12)),
            (Form::Flag, Value::Flag(flag)) => Value::Flag(!flag),
            (Form::Number(least, _), _) => Value::Number(least),
            (Form::Prefixes, _) => Value::Prefixes(prefixes()),
            (form, value) => panic!("{form:?} {value:?}"),
        }
    }

    #[test]
    fn numbers_count_from_one_and_names_agree() {
        for (number, setting) in (1..).zip(Setting::ALL) {
            assert_eq!(setting.number, number);
            assert_eq!(setting.option, setting.field.replace('_', "-"));
            assert_eq!(Setting::by_number(number), Some(setting));
        }
        assert_eq!(Setting::by_number(0), None);
    }

    #[test]
    fn each_setting_is_set_alone_and_goes_over_netlink() {
        for setting in Setting::ALL {
            let mut settings = Settings::DEFAULT;
            let default = settings.get(setting);
            let value = other(setting);
            assert_ne!(value, default);
            settings.set(setting, value).unwrap();
            for one in Setting::ALL {
                let expected = match one == setting {
                    true => value,
                    false => Settings::DEFAULT.get(one),
                };
                assert_eq!(
                    settings.get(one),
                    expected,
                    "{} {}",
                    setting.field,
                    one.field
                );
            }
            for value in [value, default] {
                assert_eq!(
                    value.encode(|bytes| setting.form.decode(bytes)),
                    Some(value)
                );
            }
            assert_eq!(setting.form.decode(&[1; 3]), None);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut settings = Settings::DEFAULT;
        for (setting, value) in [
            (&Setting::SOURCE_V4, Value::V4(Some([0, 1, 2, 3]))),
            (&Setting::SOURCE_V4, Value::V4(Some([127, 0, 0, 1]))),
            (&Setting::SOURCE_V4, Value::V4(Some([224, 0, 0, 1]))),
            (&Setting::SOURCE_V4, Value::V6(None)),
            (&Setting::SOURCE_V6, Value::V6(Some([0xff; 16]))),
            (&Setting::GATEWAY_MAC, Value::Mac(Some([1, 0, 0, 0, 0, 0]))),
            (&Setting::HASH_FIELDS, Value::Fields(None)),
            (&Setting::UDP_PORT, Value::Number(0)),
            (&Setting::SEGMENT_TCP, Value::Number(1)),
        ] {
            assert!(
                settings.set(setting, value).is_err(),
                "{} {value:?}",
                setting.field
            );
        }
        assert_eq!(settings, Settings::DEFAULT);
        assert_eq!(Form::Fields.decode(&[16]), None);
        assert_eq!(Form::Flag.decode(&[2]), None);
        // A family that is none, a prefix that is longer than its address, bytes behind an address, one prefix too many.
        let v4 = [4, 32, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(Form::Prefixes.decode(&v4).is_some());
        for (at, byte) in [(0, 5), (1, 33), (17, 1)] {
            let mut wrong = v4;
            wrong[at] = byte;
            assert_eq!(Form::Prefixes.decode(&wrong), None);
        }
        assert!(Form::Prefixes.decode(&v4.repeat(MAX_PREFIXES)).is_some());
        assert_eq!(Form::Prefixes.decode(&v4.repeat(MAX_PREFIXES + 1)), None);
        assert_eq!(Form::Prefixes.decode(&v4[..17]), None);
    }
}
