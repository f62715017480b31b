-- SPDX-License-Identifier: GPL-2.0
--
-- Wireshark dissector for the tunnel between GLB directors and proxies: GUE (version 0) in UDP, with GLB's private data.
--
-- Install: copy this file into the directory that "Help > About > Folders > Personal Lua Plugins" shows
-- (~/.local/lib/wireshark/plugins), or name it on the command line:
--
--     tshark -X lua_script:glb.lua -r capture.pcap -Y 'glb.hop == 10.0.0.11'
--
-- The UDP ports are a preference (default 19523): -o glb.ports:19523,6080. The packet inside goes to Wireshark's own IP
-- dissectors, so filters such as tcp.port and "Follow stream" work; ip.src has both addresses, outer and inner.
--
--  0                   1                   2                   3
-- |Ver|C|  hlen   | inner protocol|        flags = 0              |
-- |     private data type         | next hop index|  hop count N  |
-- |  N hops of 4 bytes (type 0, IPv4) or 16 bytes (type 1, IPv6)  |
--
-- The bytes here come from the network: every field is read only where the packet has it, and what is wrong is an
-- expert info, not an error of the script. "Wrong" is what a proxy would drop (core/src/packet/gue.rs has the same rules).

local DEFAULT_PORTS = "19523"
local BASE_LENGTH = 4    -- the first word of GUE
local HOPS_OFFSET = 8    -- base header, type, index and count
local MAX_PACKET_PORT = 65535

local glb = Proto("glb", "GLB tunnel (GUE)")

glb.prefs.ports = Pref.range("UDP ports", DEFAULT_PORTS, "Destination ports of GLB's tunnel", MAX_PACKET_PORT)

local inner_protocols = { [4] = "IPv4", [41] = "IPv6" }
local types = { [0] = "IPv4 hops", [1] = "IPv6 hops" }
-- By the type of the private data: the bytes of a hop, and the version of the outer IP header.
local hop_lengths = { [0] = 4, [1] = 16 }
local underlays = { [0] = 4, [1] = 6 }

local f = {
    version = ProtoField.uint8("glb.gue.version", "GUE version", base.DEC, nil, 0xc0),
    control = ProtoField.bool("glb.gue.control", "Control message", 8, nil, 0x20),
    hlen = ProtoField.uint8("glb.gue.hlen", "Words behind the first", base.DEC, nil, 0x1f),
    protocol = ProtoField.uint8("glb.gue.proto", "Inner protocol", base.DEC, inner_protocols),
    flags = ProtoField.uint16("glb.gue.flags", "Flags", base.HEX),
    kind = ProtoField.uint16("glb.type", "Private data type", base.DEC, types),
    index = ProtoField.uint8("glb.index", "Next hop index"),
    count = ProtoField.uint8("glb.count", "Hop count"),
    hop = ProtoField.ipv4("glb.hop", "Hop"),
    hop6 = ProtoField.ipv6("glb.hop6", "Hop"),
    next_hop = ProtoField.string("glb.next_hop", "Next hop"),
    unknown = ProtoField.bytes("glb.unknown", "Not understood"),
}
glb.fields = f

local function malformed(name, text)
    return ProtoExpert.new("glb." .. name, text, expert.group.MALFORMED, expert.severity.ERROR)
end
local e = {
    short = malformed("short", "The packet ends inside the tunnel header"),
    version = malformed("bad_version", "Not GUE version 0"),
    control = malformed("bad_control", "A GUE control message: directors send none"),
    flags = malformed("bad_flags", "GUE flags are set: directors set none"),
    kind = malformed("bad_type", "Unknown type of private data"),
    no_data = malformed("no_private_data", "No private data: not from a director (a health check, or plain GUE)"),
    length = malformed("bad_length", "The header's length does not fit the number of hops"),
    family = malformed("bad_family", "The hops are not of the family of the outer packet"),
    protocol = malformed("bad_protocol", "The inner protocol is neither IPv4 nor IPv6"),
    inner = malformed("bad_inner", "The packet inside is not of the family that the header says"),
    empty = malformed("no_inner", "There is no packet inside"),
    cut = ProtoExpert.new("glb.cut", "The capture has only the beginning of the packet", expert.group.UNDECODED, expert.severity.NOTE),
    used_up = ProtoExpert.new("glb.used_up", "The list is used up: this proxy is the last resort",
        expert.group.SEQUENCE, expert.severity.NOTE),
}
glb.experts = e

local outer_ip_version = Field.new("ip.version")
local outer_ip6_version = Field.new("ipv6.version")
local ip_protocols = DissectorTable.get("ip.proto")
local data_dissector = Dissector.get("data")

-- The version of the IP header around the UDP header: the last one that was dissected before this.
local function outer_version()
    local last
    for _, fields in ipairs({ { outer_ip_version() }, { outer_ip6_version() } }) do
        for _, field in ipairs(fields) do
            if not last or field.offset > last.offset then last = field end
        end
    end
    return last and last.value
end

-- The list of hops between HOPS_OFFSET and `stop`. Says which text the next one has, nil where the list is used up.
local function dissect_hops(tvb, tree, kind, index, count, stop)
    local length = hop_lengths[kind]
    local next_hop
    for number = 0, count - 1 do
        local at = HOPS_OFFSET + number * length
        if at + length > stop then return next_hop end
        local range = tvb(at, length)
        local item = tree:add(kind == 0 and f.hop or f.hop6, range)
        item:prepend_text(string.format("[%d] ", number))
        if number == index then
            next_hop = tostring(kind == 0 and range:ipv4() or range:ipv6())
            item:append_text(" <- next")
        end
    end
    return next_hop
end

-- Type, index, count and hops, in a header that ends at `stop`. Gives a word for the summary.
local function dissect_private(tvb, tree, stop)
    if stop < HOPS_OFFSET then
        tree:add_proto_expert_info(e.no_data)
        return "no hops"
    end
    local kind, index, count = tvb(4, 2):uint(), tvb(6, 1):uint(), tvb(7, 1):uint()
    local kind_item = tree:add(f.kind, tvb(4, 2))
    local length = hop_lengths[kind]
    if not length then
        kind_item:add_proto_expert_info(e.kind)
        tree:add(f.unknown, tvb(6, stop - 6))
        return "type " .. kind
    end
    local index_item = tree:add(f.index, tvb(6, 1))
    local count_item = tree:add(f.count, tvb(7, 1))
    local version = outer_version()
    if version and version ~= underlays[kind] then kind_item:add_proto_expert_info(e.family) end
    if HOPS_OFFSET + count * length ~= stop then count_item:add_proto_expert_info(e.length) end
    local next_hop = dissect_hops(tvb, tree, kind, index, count, stop)
    if next_hop then
        tree:add(f.next_hop, tvb(6, 1), next_hop):set_generated()
        return string.format("hop %d of %d, next %s", index, count, next_hop)
    end
    if index >= count then index_item:add_proto_expert_info(e.used_up) end
    return string.format("hop %d of %d", index, count)
end

-- The packet inside, to Wireshark's own dissectors.
local function dissect_inner(tvb, pinfo, tree, item, at, protocol)
    if at >= tvb:len() then
        item:add_proto_expert_info(at >= tvb:reported_len() and e.empty or e.cut)
        return
    end
    local inner = tvb(at):tvb()
    if not inner_protocols[protocol] then
        item:add_proto_expert_info(e.protocol)
        data_dissector:call(inner, pinfo, tree)
        return
    end
    if inner(0, 1):bitfield(0, 4) ~= (protocol == 4 and 4 or 6) then
        item:add_proto_expert_info(e.inner)
        data_dissector:call(inner, pinfo, tree)
        return
    end
    ip_protocols:get_dissector(protocol):call(inner, pinfo, tree)
end

function glb.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "GLB"
    local have = tvb:len()
    if have < BASE_LENGTH then
        local item = tree:add(glb, tvb())
        item:add_proto_expert_info(tvb:reported_len() < BASE_LENGTH and e.short or e.cut)
        return have
    end
    local version, control, hlen = tvb(0, 1):bitfield(0, 2), tvb(0, 1):bitfield(2, 1), tvb(0, 1):bitfield(3, 5)
    local stop = BASE_LENGTH + hlen * 4
    local item = tree:add(glb, tvb(0, math.min(stop, have)))
    local version_item = item:add(f.version, tvb(0, 1))
    if version ~= 0 then
        -- Nothing behind the version has the meaning that it has in version 0.
        version_item:add_proto_expert_info(e.version)
        data_dissector:call(tvb, pinfo, tree)
        return have
    end
    local control_item = item:add(f.control, tvb(0, 1))
    if control ~= 0 then control_item:add_proto_expert_info(e.control) end
    local hlen_item = item:add(f.hlen, tvb(0, 1))
    local protocol_item = item:add(f.protocol, tvb(1, 1))
    local flags_item = item:add(f.flags, tvb(2, 2))
    if tvb(2, 2):uint() ~= 0 then flags_item:add_proto_expert_info(e.flags) end
    if stop > have then
        hlen_item:add_proto_expert_info(stop > tvb:reported_len() and e.short or e.cut)
        item:add(f.unknown, tvb(BASE_LENGTH))
        return have
    end
    item:append_text(", " .. dissect_private(tvb, item, stop))
    if control == 0 then dissect_inner(tvb, pinfo, tree, protocol_item, stop, tvb(1, 1):uint()) end
    return have
end

-- Ports: those of the preference, now and when it changes.
local udp_ports = DissectorTable.get("udp.port")
local registered = glb.prefs.ports
udp_ports:add(registered, glb)

function glb.prefs_changed()
    if glb.prefs.ports == registered then return end
    udp_ports:remove(registered, glb)
    registered = glb.prefs.ports
    udp_ports:add(registered, glb)
end
