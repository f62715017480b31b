# SPDX-License-Identifier: GPL-2.0
"""Scapy layer for the tunnel between GLB directors and proxies: GUE with GLB's private data.

    from glb import GLB
    from scapy.layers.inet import IP, TCP, UDP

    IP(dst="10.0.0.11") / UDP(sport=0x8123) / GLB(hops=["10.0.0.12"]) / IP(src=client, dst=vip) / TCP(dport=80, flags="S")

Sets the UDP port, reads packets to it, and fills in what is None: the header's length, the number of hops and the inner
protocol. type 0 has IPv4 hops, type 1 IPv6 hops; with hlen=0 it is plain GUE, as health checks send it. Hops are read as
far as count and length both go; what is left of the header is in `rest`. Everything that can be wrong can be given.
"""

from scapy.fields import (
    BitField,
    ByteEnumField,
    ByteField,
    ConditionalField,
    FieldListField,
    IPField,
    MultipleTypeField,
    ShortEnumField,
    StrLenField,
    XShortField,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IP6Field, IPv6
from scapy.packet import Packet, Raw, bind_layers

PORT = 19523
HOP_LENGTH = {0: 4, 1: 16}


def _room(packet):
    """Bytes for hops that the header's length leaves."""
    return max(0, (packet.hlen or 0) - 1) * 4


def _hops_that_fit(packet):
    length = HOP_LENGTH.get(packet.type)
    return min(packet.count or 0, _room(packet) // length) if length else 0


class GLB(Packet):
    """GUE version 0 and the list of hops behind the first."""

    name = "GLB"
    fields_desc = [
        BitField("version", 0, 2),
        BitField("control", 0, 1),
        BitField("hlen", None, 5),
        ByteEnumField("proto", None, {4: "IPv4", 41: "IPv6"}),
        XShortField("flags", 0),
        ConditionalField(ShortEnumField("type", 0, {0: "IPv4 hops", 1: "IPv6 hops"}), lambda packet: packet.hlen != 0),
        ConditionalField(ByteField("index", 0), lambda packet: packet.hlen != 0),
        ConditionalField(ByteField("count", None), lambda packet: packet.hlen != 0),
        ConditionalField(
            MultipleTypeField(
                [(FieldListField("hops", [], IP6Field("", "::"), count_from=_hops_that_fit), lambda packet: packet.type == 1)],
                FieldListField("hops", [], IPField("", "0.0.0.0"), count_from=_hops_that_fit),
            ),
            lambda packet: packet.hlen != 0,
        ),
        ConditionalField(
            StrLenField("rest", b"", length_from=lambda p: _room(p) - _hops_that_fit(p) * HOP_LENGTH.get(p.type, 0)),
            lambda packet: packet.hlen != 0,
        ),
    ]

    def post_build(self, header, payload):
        first, proto = header[0], header[1]
        if self.hlen is None:
            first = first & 0xE0 | (len(header) - 4) // 4
        if self.proto is None:
            proto = {4: 4, 6: 41}.get(payload[0] >> 4 if payload else 0, 0)
        header = bytes([first, proto]) + header[2:]
        if self.hlen != 0 and self.count is None:
            header = header[:7] + bytes([len(self.hops)]) + header[8:]
        return header + payload

    def guess_payload_class(self, payload):
        if self.version or self.control:
            return Raw
        return {4: IP, 41: IPv6}.get(self.proto, Raw)


bind_layers(UDP, GLB, dport=PORT)
