// SPDX-License-Identifier: GPL-2.0

//! Netlink messages: headers and attributes.

/// Bytes of a message's header.
pub const NLMSG_HEADER: usize = 16;
/// Bytes of the header of generic netlink behind it.
pub const GENL_HEADER: usize = 4;
/// Bytes of an attribute's header.
pub const ATTR_HEADER: usize = 4;

/// An error, or an acknowledgement.
pub const NLMSG_ERROR: u16 = 2;
/// The end of a list.
pub const NLMSG_DONE: u16 = 3;

/// A request.
pub const NLM_F_REQUEST: u16 = 1;
/// An acknowledgement is wanted.
pub const NLM_F_ACK: u16 = 4;
/// The list was changed while it was read.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// In an answer: the request is not repeated in it.
pub const NLM_F_CAPPED: u16 = 0x100;
/// In an answer: attributes say more.
pub const NLM_F_ACK_TLVS: u16 = 0x200;
/// The whole list is wanted.
pub const NLM_F_DUMP: u16 = 0x300;

const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// A message of generic netlink while it is written.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request without attributes; family and number are filled in when it is sent.
    #[must_use]
    pub fn new(command: u8, version: u8, flags: u16) -> Self {
        let mut request = Self::with_header(&[command, version, 0, 0]);
        request.add_flags(flags);
        request
    }

    /// A request of another protocol of netlink, whose own header is this.
    #[must_use]
    pub fn with_header(header: &[u8]) -> Self {
        let mut bytes = vec![0; NLMSG_HEADER];
        bytes[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
        bytes.extend(header);
        Self { bytes }
    }

    /// Appends an attribute. One of more than 65,531 bytes cannot be, and is cut off there.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let payload = &payload[..payload.len().min(usize::from(u16::MAX) - ATTR_HEADER)];
        let len = u16::try_from(payload.len() + ATTR_HEADER).unwrap_or(u16::MAX);
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(payload);
        self.align();
        self
    }

    /// Appends a number of 8 bits.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a number of 16 bits.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of 32 bits.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a number of 32 bits, or 64 where it needs them.
    pub fn uint(&mut self, kind: u16, value: u64) -> &mut Self {
        match u32::try_from(value) {
            Ok(short) => self.u32(kind, short),
            Err(_) => self.bytes(kind, &value.to_ne_bytes()),
        }
    }

    /// Appends a text and the zero behind it.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut payload = text.as_bytes().to_vec();
        payload.push(0);
        self.bytes(kind, &payload)
    }

    /// Appends an attribute of attributes.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.bytes.len();
        self.bytes(kind | NESTED, &[]);
        write(self);
        let len = u16::try_from(self.bytes.len() - at).unwrap_or(u16::MAX);
        self.bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    /// Sets more flags of the header.
    pub fn add_flags(&mut self, flags: u16) {
        let both = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[6..8].copy_from_slice(&both.to_ne_bytes());
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: there are headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> u8 {
        self.bytes[NLMSG_HEADER]
    }

    /// The whole message, to a family and with a number.
    #[must_use]
    pub fn finish(mut self, family: u16, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[4..6].copy_from_slice(&family.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    fn align(&mut self) {
        while self.bytes.len() % 4 != 0 {
            self.bytes.push(0);
        }
    }
}

/// A received message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Type: a family, [`NLMSG_ERROR`] or [`NLMSG_DONE`].
    pub kind: u16,
    /// Flags.
    pub flags: u16,
    /// Number of the request that it answers.
    pub sequence: u32,
    /// What is behind the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The command, in a message of generic netlink.
    #[must_use]
    pub fn command(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The attributes, in a message of generic netlink.
    #[must_use]
    pub fn attrs(&self) -> Attrs<'a> {
        self.attrs_behind(GENL_HEADER)
    }

    /// The attributes behind a header of so many bytes.
    #[must_use]
    pub fn attrs_behind(&self, header: usize) -> Attrs<'a> {
        Attrs(self.payload.get(header..).unwrap_or_default())
    }
}

/// The messages in what one call has received.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<NLMSG_HEADER>()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            payload: rest.get(NLMSG_HEADER..len)?,
        };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Attributes one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Attrs<'a>(pub &'a [u8]);

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attr<'a> {
    /// Its type.
    pub kind: u16,
    /// Its payload.
    pub payload: &'a [u8],
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let header = self.0.first_chunk::<ATTR_HEADER>()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let attr = Attr {
            kind: u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK,
            payload: self.0.get(ATTR_HEADER..len)?,
        };
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(attr)
    }
}

impl<'a> Attrs<'a> {
    /// The first attribute of a type.
    #[must_use]
    pub fn get(mut self, kind: u16) -> Option<Attr<'a>> {
        self.find(|attr| attr.kind == kind)
    }

    /// All attributes of a type.
    pub fn all(self, kind: u16) -> impl Iterator<Item = Attr<'a>> {
        self.filter(move |attr| attr.kind == kind)
    }

    /// A number of 8 bits; 0 if it is not there.
    #[must_use]
    pub fn u8(self, kind: u16) -> u8 {
        u8::try_from(self.uint(kind)).unwrap_or_default()
    }

    /// A number of 16 bits; 0 if it is not there.
    #[must_use]
    pub fn u16(self, kind: u16) -> u16 {
        u16::try_from(self.uint(kind)).unwrap_or_default()
    }

    /// A number of 32 bits; 0 if it is not there.
    #[must_use]
    pub fn u32(self, kind: u16) -> u32 {
        u32::try_from(self.uint(kind)).unwrap_or_default()
    }

    /// A number of any size; 0 if it is not there.
    #[must_use]
    pub fn uint(self, kind: u16) -> u64 {
        self.get(kind).map_or(0, |attr| attr.number())
    }

    /// A text; empty if it is not there.
    #[must_use]
    pub fn text(self, kind: u16) -> String {
        self.get(kind).map_or_else(String::new, |attr| attr.text())
    }
}

impl<'a> Attr<'a> {
    /// A number of 1, 2, 4 or 8 bytes; 0 if it is none.
    #[must_use]
    pub fn number(&self) -> u64 {
        match *self.payload {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_ne_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// The text before the zero.
    #[must_use]
    pub fn text(&self) -> String {
        let end = self.payload.iter().position(|byte| *byte == 0);
        let text = &self.payload[..end.unwrap_or(self.payload.len())];
        String::from_utf8_lossy(text).into_owned()
    }

    /// The attributes in it.
    #[must_use]
    pub fn nested(&self) -> Attrs<'a> {
        Attrs(self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut request = Request::new(7, 1, NLM_F_ACK);
        request.u8(1, 200).u16(2, 60_000).u32(3, 70_000);
        request.uint(4, 5).uint(5, 1 << 40).text(6, "höp");
        request.nest(7, |nest| {
            nest.bytes(1, &[1, 2, 3]).u8(2, 9);
        });
        let bytes = request.finish(33, 1234);
        let all: Vec<_> = messages(&bytes).collect();
        let [message] = all[..] else {
            panic!("one message, not {}", all.len());
        };
        assert_eq!((message.kind, message.sequence), (33, 1234));
        assert_eq!(message.flags, NLM_F_REQUEST | NLM_F_ACK);
        assert_eq!(message.command(), Some(7));
        let attrs = message.attrs();
        assert_eq!(
            (attrs.u8(1), attrs.u16(2), attrs.u32(3)),
            (200, 60_000, 70_000)
        );
        assert_eq!((attrs.uint(4), attrs.uint(5)), (5, 1 << 40));
        assert_eq!(attrs.text(6), "höp");
        let nested = attrs.get(7).map(|nest| nest.nested());
        let nested = nested.expect("a nest");
        assert_eq!(nested.get(1).map(|attr| attr.payload), Some(&[1, 2, 3][..]));
        assert_eq!(nested.u8(2), 9);
        assert_eq!(attrs.count(), 7);
    }

    #[test]
    fn broken_bytes_end_the_reading() {
        assert_eq!(messages(&[0; 15]).count(), 0);
        assert_eq!(messages(&[0; 16]).count(), 0);
        assert_eq!(messages(&[0xff; 64]).count(), 0);
        assert_eq!(Attrs(&[0; 8]).count(), 0);
        assert_eq!(Attrs(&[9, 0, 1, 0, 1]).count(), 0);
    }
}
