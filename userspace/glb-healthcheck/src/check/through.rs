// SPDX-License-Identifier: GPL-2.0

//! Connections to a VIP that reach one backend, by the forward of its table: what a client's connection meets there is tested,
//! the other end of the tunnel and the VIP included.
//!
//! The connection is the kernel's own, from this machine to the VIP, so that all checks can be made over it. Its packets end in the
//! dummy device that the VIP is routed to: by another one, a router would end the connection, or a director would answer with a
//! backend of its own. A packet socket on that device sees them, and a raw socket sends each to the backend as a director would:
//! with the TTL of other packets, its TCP checksum complete, and what the forward puts in front or changes. Answers come
//! directly, as all packets from backends to clients do.
//!
//! ```text
//! connection ──TTL 1──> dummy device ──> (ends)
//!                          └─seen─> forward ──> backend ──VIP:port──> connection
//! ```
//!
//! The packet socket is bound to the dummy device: the kernel copies each packet of a device for a socket that listens there, and
//! no other packet of the machine may pay for that.

use super::echo::source_to;
use super::packet::{header_checksum, tcp_checksum};
use super::Failure;
use crate::logic::probe::Way;
use glb_core::director::rewrite::{Change, Spot};
use glb_core::director::{Leave, Params, Shape, Tunnel};
use glb_core::packet::addr::Addr;
use glb_core::packet::checksum::UdpChecksum;
use glb_core::packet::ip::{self, Family};
use glb_core::packet::view::View;
use glb_netlink::machine::{Link, Machine};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::bind;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// TTL of what is not to leave the network.
const TTL: u8 = 1;
/// TTL of what goes to the backend.
const USUAL_TTL: u8 = 64;
/// Bytes of a segment, so that it fits a path of 1,500 bytes with any forward in front.
const SEGMENT: u32 = 1200;
/// How long packets of a connection that has been closed are passed on: its reset.
const LINGER: Duration = Duration::from_secs(2);
/// `ETH_P_ALL` of `linux/if_ether.h`.
const ALL_PROTOCOLS: u16 = 3;
/// `IPPROTO_RAW`: the IP header comes from here.
const WITH_IP_HEADER: i32 = 255;

/// Where the packets of a connection go.
#[derive(Debug, Clone, Copy)]
struct Route {
    way: Way,
    /// Source of what goes to the backend.
    outer: IpAddr,
    /// When it ends, once the connection has been closed.
    until: Option<Instant>,
}

/// Connections by their own ends.
type Routes = Arc<Mutex<HashMap<SocketAddr, Route>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole at any time, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes connections through forwards.
#[derive(Debug, Default)]
pub(super) struct Through {
    routes: Routes,
    /// What passes packets on, by the number of the dummy device.
    tasks: Mutex<HashMap<u32, tokio::task::JoinHandle<()>>>,
}

/// A connection's packets are passed on as long as this exists, and a little longer.
#[derive(Debug)]
pub(super) struct Open {
    routes: Routes,
    own: SocketAddr,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(route) = lock(&self.routes).get_mut(&self.own) {
            route.until = Instant::now().checked_add(LINGER);
        }
    }
}

impl Through {
    /// Connects to a place by this way.
    pub(super) async fn connect(
        &self,
        way: &Way,
        to: SocketAddr,
    ) -> Result<(TcpStream, Open), Failure> {
        let device = device_to(to.ip()).map_err(Failure::Unable)?;
        self.pass_on(&device).map_err(|error| {
            let reason = "no packet socket for checks through a forward (this takes CAP_NET_RAW)";
            Failure::Unable(format!("{reason}: {error}"))
        })?;
        let no_source = |to: IpAddr| {
            move |error| Failure::Unable(format!("no source address for {to}: {error}"))
        };
        let outer = source_to(way.backend)
            .await
            .map_err(no_source(way.backend))?;
        let by_route = source_to(to.ip()).await.map_err(no_source(to.ip()))?;
        if by_route == to.ip() {
            let reason = "is an address of this machine, which answers itself";
            return Err(Failure::Unable(format!("{} {reason}", to.ip())));
        }
        // The address that the backend's answers come to.
        let own = match outer.is_ipv4() == to.is_ipv4() {
            true => outer,
            false => by_route,
        };
        let socket = socket(to, own)?;
        let own = socket.local_addr()?.as_socket();
        let own = own.ok_or_else(|| Failure::Unable("a connection without an end".to_owned()))?;
        let route = Route {
            way: *way,
            outer,
            until: None,
        };
        let open = self.open(own, route);
        let stream = TcpSocket::from_std_stream(socket.into())
            .connect(to)
            .await?;
        Ok((stream, open))
    }

    /// Packets of the connection from `own` take this route from now on.
    fn open(&self, own: SocketAddr, route: Route) -> Open {
        let now = Instant::now();
        let mut routes = lock(&self.routes);
        routes.retain(|_, route| route.until.is_none_or(|until| until > now));
        routes.insert(own, route);
        Open {
            routes: self.routes.clone(),
            own,
        }
    }

    /// Passes on what leaves by this device, unless that goes on already.
    fn pass_on(&self, device: &Link) -> io::Result<()> {
        let mut tasks = lock(&self.tasks);
        // A device that is gone has ended its own.
        tasks.retain(|_, task| !task.is_finished());
        if tasks.contains_key(&device.index) {
            return Ok(());
        }
        let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
        let seen = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        seen.set_nonblocking(true)?;
        let of_device = getifaddrs()?
            .filter(|found| found.interface_name == device.name)
            .find_map(|found| found.address?.as_link_addr().copied())
            .ok_or_else(|| io::Error::other(format!("{} has no link address", device.name)))?;
        bind(seen.as_raw_fd(), &of_device)?;
        seen.attach_filter(&only_own_segments())?;
        // To tokio, a socket that gives datagrams is one like another.
        let seen = UdpSocket::from_std(seen.into())?;
        let out = Out {
            v4: raw(Domain::IPV4)?,
            v6: raw(Domain::IPV6).ok(),
        };
        tasks.insert(
            device.index,
            tokio::spawn(pass_on(seen, out, self.routes.clone())),
        );
        Ok(())
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        for task in lock(&self.tasks).values() {
            task.abort();
        }
    }
}

/// The device that packets to the VIP end in; or what to do.
fn device_to(vip: IpAddr) -> Result<Link, String> {
    let asked = || {
        let mut machine = Machine::open()?;
        match machine.route(addr(vip))? {
            Some(route) => machine.link(route.link),
            None => Ok(None),
        }
    };
    match asked() {
        Ok(Some(link)) if link.kind == "dummy" || link.name == "lo" => Ok(link),
        Ok(found) => {
            let by = found.map_or_else(
                || "has no route".to_owned(),
                |link| format!("is routed to {}", link.name),
            );
            Err(format!(
                "{vip} {by}: a check through a forward needs a route to a dummy device: ip link add glb-vip type dummy; \
                 ip link set glb-vip up; ip route add {vip} dev glb-vip"
            ))
        }
        Err(error) => Err(format!("no route to {vip}: {error}")),
    }
}

/// How a server is connected to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dial<'a> {
    /// As anybody would.
    Direct,
    /// What is at this address, through a forward; others directly.
    Through(&'a Through, &'a Way, IpAddr),
}

impl Dial<'_> {
    /// Connects to the first of these places that takes the connection.
    pub(super) async fn connect(
        self,
        places: &[SocketAddr],
    ) -> Result<(TcpStream, Option<Open>), Failure> {
        match (self, places) {
            (Self::Through(through, way, vip), [place]) if place.ip() == vip => {
                let (stream, open) = through.connect(way, *place).await?;
                Ok((stream, Some(open)))
            }
            _ => Ok((TcpStream::connect(places).await?, None)),
        }
    }
}

/// A socket for a connection whose packets do not get far.
fn socket(to: SocketAddr, own: IpAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match to {
        SocketAddr::V4(_) => socket.set_ttl_v4(TTL.into())?,
        SocketAddr::V6(_) => socket.set_unicast_hops_v6(TTL.into())?,
    }
    socket.set_tcp_mss(SEGMENT)?;
    // It ends by a reset: what the kernel says for a connection that is closed but not over has the usual TTL.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&SocketAddr::new(own, 0).into())?;
    Ok(socket)
}

fn raw(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(WITH_IP_HEADER)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sockets that packets go to backends by.
struct Out {
    v4: Socket,
    /// Not where there is no IPv6.
    v6: Option<Socket>,
}

/// Passes packets on until the socket fails; the next check opens another one then.
async fn pass_on(seen: UdpSocket, out: Out, routes: Routes) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = seen.recv(&mut buffer).await {
        let Some(packet) = buffer.get(..length).and_then(Segment::of) else {
            continue;
        };
        let route = lock(&routes).get(&packet.source).copied();
        let Some(route) = route else { continue };
        let Some(packet) = packet.by(&route.way, route.outer) else {
            continue;
        };
        let socket = match route.way.backend {
            IpAddr::V4(_) => Some(&out.v4),
            IpAddr::V6(_) => out.v6.as_ref(),
        };
        if let Some(socket) = socket {
            // What does not go is sent again by its connection, or is missed there.
            let _ = socket.send_to(&packet, &SocketAddr::new(route.way.backend, 0).into());
        }
    }
}

/// A packet socket sees all that passes the machine; only TCP that leaves with a TTL of 1 is of interest (classic BPF,
/// `Documentation/networking/filter.rst`). Offsets count from the IP header.
fn only_own_segments() -> Vec<SockFilter> {
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `SKF_AD_OFF + SKF_AD_PKTTYPE`, and its `PACKET_OUTGOING`.
    const PACKET_TYPE: u32 = (-0x1000_i32 + 4) as u32;
    const OUTGOING: u32 = 4;
    const TCP: u32 = 6;
    let load = |offset| SockFilter::new(LOAD_BYTE, 0, 0, offset);
    // Jumps count the instructions that are left out.
    let unless = |value, out| SockFilter::new(JUMP_IF_EQUAL, 0, out, value);
    vec![
        load(PACKET_TYPE),
        unless(OUTGOING, 13),
        load(0),
        SockFilter::new(AND, 0, 0, 0xf0),
        // IPv4: TTL, protocol.
        unless(0x40, 4),
        load(8),
        unless(TTL.into(), 8),
        load(9),
        SockFilter::new(JUMP_IF_EQUAL, 5, 6, TCP),
        // IPv6: hop limit, next header.
        unless(0x60, 5),
        load(7),
        unless(TTL.into(), 3),
        load(6),
        unless(TCP, 1),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// A TCP segment that leaves this machine.
struct Segment {
    family: Family,
    source: SocketAddr,
    /// As other packets: with the usual TTL, and with its checksums.
    packet: Vec<u8>,
}

impl Segment {
    /// Reads what a packet socket has seen.
    fn of(seen: &[u8]) -> Option<Self> {
        let family = match seen.first()? >> 4 {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        let header = ip::parse(View::whole(seen), 0, family).ok()?;
        let mut packet = seen.get(..header.end)?.to_vec();
        let (fixed, segment) = packet.split_at_mut_checked(header.transport)?;
        let (source, addrs) = match family {
            Family::V4 => {
                *fixed.get_mut(8)? = USUAL_TTL;
                let check = header_checksum(fixed)?;
                fixed.get_mut(10..12)?.copy_from_slice(&check.to_be_bytes());
                let source: [u8; 4] = fixed.get(12..16)?.try_into().ok()?;
                (IpAddr::from(source), fixed.get(12..20)?)
            }
            Family::V6 => {
                *fixed.get_mut(7)? = USUAL_TTL;
                let source: [u8; 16] = fixed.get(8..24)?.try_into().ok()?;
                (IpAddr::from(source), fixed.get(8..40)?)
            }
        };
        let port = u16::from_be_bytes(segment.first_chunk::<2>().copied()?);
        // The kernel has left it to the device.
        segment.get_mut(16..18)?.fill(0);
        let check = tcp_checksum(addrs, segment);
        segment
            .get_mut(16..18)?
            .copy_from_slice(&check.to_be_bytes());
        Some(Self {
            family,
            source: SocketAddr::new(source, port),
            packet,
        })
    }

    /// What goes to the backend, from this source.
    fn by(mut self, way: &Way, outer: IpAddr) -> Option<Vec<u8>> {
        match way.forward.leave() {
            // No file asks for it.
            Leave::Mark(_) => None,
            Leave::Tunnel(tunnel) => self.tunnelled(tunnel, way, outer),
            Leave::Rewrite(edit) => {
                let view = View::whole(&self.packet);
                let spot = Spot::find(view, self.family, edit).ok()?;
                let change = Change::toward(addr(way.backend), edit);
                spot.write(&mut self.packet, &change, UdpChecksum::Complete)?;
                Some(self.packet)
            }
        }
    }

    fn tunnelled(&self, tunnel: Tunnel, way: &Way, outer: IpAddr) -> Option<Vec<u8>> {
        let layout = tunnel.layout(&Shape {
            outer: match way.backend {
                IpAddr::V4(_) => Family::V4,
                IpAddr::V6(_) => Family::V6,
            },
            inner: self.family,
            others: 0,
            udp_checksum: false,
        });
        let port = self.source.port();
        let params = Params {
            src: addr(outer),
            dst: addr(way.backend),
            src_port: port,
            dst_port: way.udp_port,
            flow_label: port.into(),
            tos: ip::tos(View::whole(&self.packet), self.family).ok()?,
            inner: self.family,
            inner_len: self.packet.len(),
        };
        let mut packet = vec![0; layout.len];
        let none: &[Addr] = &[];
        tunnel.write(&params, none, &mut packet)?;
        packet.extend(&self.packet);
        Some(packet)
    }
}

fn addr(ip: IpAddr) -> Addr {
    match ip {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glb_core::director::Forward;
    use glb_core::packet::dscp::Dscp;

    /// A SYN as the kernel gives it to a device that completes checksums: 192.0.2.1:4000 to 10.10.10.10:80.
    fn syn() -> Vec<u8> {
        let mut packet = vec![
            0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 1, 6, 0xaa, 0xaa, 192, 0, 2, 1, 10, 10, 10, 10,
        ];
        packet.extend([0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0]);
        packet.extend([0x55, 0x55, 0, 0]);
        packet
    }

    fn way(forward: Forward) -> Way {
        Way {
            forward,
            backend: [192, 0, 2, 9].into(),
            udp_port: 19523,
        }
    }

    fn sent(forward: Forward) -> Vec<u8> {
        let segment = Segment::of(&syn()).expect("a segment");
        assert_eq!(segment.source, "192.0.2.1:4000".parse().unwrap());
        segment
            .by(&way(forward), [192, 0, 2, 1].into())
            .expect("a packet")
    }

    /// Sums of ones' complement that are right add up to all ones.
    fn is_right(pieces: &[&[u8]]) -> bool {
        let words = pieces.concat();
        let sum: u32 = words
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum();
        let once = (sum & 0xffff) + (sum >> 16);
        (once & 0xffff) + (once >> 16) == 0xffff
    }

    fn is_right_tcp(packet: &[u8]) -> bool {
        let pseudo = [0, 6, 0, (packet.len() - 20) as u8];
        is_right(&[&packet[..20]]) && is_right(&[&packet[12..20], &pseudo, &packet[20..]])
    }

    #[test]
    fn by_each_tunnel() {
        for (forward, front) in [
            (Forward::Gue, "4500004c000040004011"),
            (Forward::Gre, "4500004000004000402f"),
            (Forward::Ipip, "4500003c000040004004"),
        ] {
            let packet = sent(forward);
            let hex: String = packet.iter().take(10).map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, front, "{forward:?}");
            assert_eq!(packet[12..20], [192, 0, 2, 1, 192, 0, 2, 9]);
            let inner = &packet[packet.len() - 40..];
            assert_eq!(inner[8], USUAL_TTL);
            assert_eq!(
                (&inner[12..16], &inner[16..20]),
                (&[192, 0, 2, 1][..], &[10; 4][..])
            );
            assert!(
                is_right(&[&packet[..20]]) && is_right_tcp(inner),
                "{packet:?}"
            );
        }
    }

    #[test]
    fn rewritten_in_place() {
        let packet = sent(Forward::L3dsr(Dscp::new(7).unwrap()));
        assert_eq!(packet.len(), 40);
        assert_eq!((packet[1], packet[8]), (0x1c, USUAL_TTL - 1));
        assert_eq!(packet[12..20], [192, 0, 2, 1, 192, 0, 2, 9]);
        assert!(is_right_tcp(&packet), "{packet:?}");
    }

    #[test]
    fn what_is_no_segment_is_left_out() {
        for length in 0..syn().len() {
            assert!(Segment::of(&syn()[..length]).is_none(), "{length}");
        }
        // Padding of the link is no part of it.
        let mut padded = syn();
        padded.extend([7; 6]);
        assert_eq!(Segment::of(&padded).expect("a segment").packet.len(), 40);
    }
}
