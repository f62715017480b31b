// SPDX-License-Identifier: GPL-2.0

//! `glb-packets netlink`: messages to the netlink families that nobody should send, from a seed.
//!
//! A third are loads with a few wrong steps (of the redirect: its door opened, mostly rightly), so that the fuzz gets deep;
//! a third are commands with attributes of any type, length and content; the rest are such messages with bits flipped, cut
//! or lengthened. Several threads send at once, each on sockets of its own, which it closes in the middle of things.

use anyhow::{bail, Context, Result};
use glb_core::backend::{Backend, State};
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::select::hash::ROWS;
use glb_core::director::{FlowHash, Forward, Select, Selector};
use glb_core::netlink::glb::{backend, bind, command, load, FAMILY, VERSION};
use glb_core::netlink::glb_redirect as door;
use glb_core::packet::addr::Addr;
use glb_core::table::v3::Words;
use glb_netlink::socket::Socket;
use glb_netlink::wire::{Request, NLM_F_ACK, NLM_F_DUMP};
use glb_netlink::{Family, Glb, TableSpec, DIRECTOR, REDIRECT};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Send broken netlink messages to the director or the redirect, and see that it keeps its senses.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the messages are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many messages each thread sends
    #[arg(long, default_value_t = 10_000)]
    count: u32,
    /// How many threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// To whom
    #[arg(long, default_value = FAMILY, value_parser = [FAMILY, door::FAMILY])]
    family: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.family == door::FAMILY {
        return run_door(arguments);
    }
    let before = Glb::open()?.status()?;
    let answers = threads(arguments)?;
    // All sockets are closed: nothing may be left of their loads.
    let after = Glb::open()?
        .status()
        .context("the director answers no more")?;
    if after.loads != 0 || after.staged != 0 {
        bail!("{} loads with {} bytes are left", after.loads, after.staged);
    }
    println!(
        "{} messages, {answers} answers, loads {} to {}",
        u64::from(arguments.count) * arguments.threads,
        before.generation,
        after.generation
    );
    Ok(())
}

/// The redirect must answer afterwards, and take settings as before.
fn run_door(arguments: &Arguments) -> Result<()> {
    let answers = threads(arguments)?;
    let mut socket = Socket::open(&REDIRECT)?;
    let mut request = Request::new(door::command::ON, door::VERSION, 0);
    request.u16(door::redirect::PORT, 19_523);
    socket.ask(request, |_| {})?;
    let (mut enabled, mut port) = (0, 0);
    let request = Request::new(door::command::GET, door::VERSION, 0);
    socket.ask(request, |attrs| {
        enabled = attrs.u8(door::redirect::ENABLED);
        port = attrs.u16(door::redirect::PORT);
    })?;
    if (enabled, port) != (1, 19_523) {
        bail!("switched on at port 19523, it says enabled {enabled}, port {port}");
    }
    let request = Request::new(door::command::OFF, door::VERSION, 0);
    socket.ask(request, |_| {})?;
    println!(
        "{} messages, {answers} answers",
        u64::from(arguments.count) * arguments.threads
    );
    Ok(())
}

/// All threads' messages; how many answers there were.
fn threads(arguments: &Arguments) -> Result<u32> {
    let family: &'static Family = if arguments.family == door::FAMILY {
        &REDIRECT
    } else {
        &DIRECTOR
    };
    let results: Vec<Result<u32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads)
            .map(|thread| {
                scope.spawn(move || fuzz(family, arguments.seed, thread, arguments.count))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread died")))
            .collect()
    });
    let mut answers = 0;
    for result in results {
        answers += result?;
    }
    Ok(answers)
}

fn fuzz(family: &'static Family, seed: u64, thread: u64, count: u32) -> Result<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(thread);
    let mut socket = Socket::open(family)?;
    let mut transaction = 0;
    let mut tables = 0;
    let mut answers = 0;
    for number in 0..count {
        let mut request = match rng.random_range(0..3) {
            which if family.name == door::FAMILY => door_request(&mut rng, which == 0),
            0 => step(&mut rng, &mut socket, &mut transaction, &mut tables),
            _ => any(&mut rng, transaction),
        };
        request.add_flags(*pick(
            &mut rng,
            &[0, 0, NLM_F_ACK, NLM_F_DUMP, 0x400, 0xffff],
        ));
        let mut bytes = request.finish(socket.family(), number);
        if rng.random_ratio(1, 3) {
            spoil(&mut rng, &mut bytes, socket.family());
        }
        // A message that the kernel does not even take in is an answer, too.
        let _ = socket.send_raw(&bytes);
        if rng.random_ratio(1, 8) {
            answers += u32::try_from(socket.drain()?)?;
        }
        if rng.random_ratio(1, 200) {
            // In the middle of whatever was going on.
            socket = Socket::open(family)?;
            transaction = 0;
        }
    }
    Ok(answers)
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

/// A step of a load, most of the time a right one.
fn step(
    rng: &mut ChaCha8Rng,
    socket: &mut Socket,
    transaction: &mut u32,
    tables: &mut u32,
) -> Request {
    let hops = *pick(rng, &[1u8, 2, 2, 3, 8, 31]);
    if *transaction == 0 || rng.random_ratio(1, 16) {
        let mut request = Request::new(command::TABLE_BEGIN, VERSION, 0);
        request.u32(load::TABLES, rng.random_range(1..4));
        request.u32(load::BINDS, rng.random_range(0..40));
        request.uint(load::ROW_BYTES, 65_536 * rng.random_range(2..40));
        *tables = 0;
        // What came before has to be read first, or the answer is not found.
        let _ = socket.drain();
        *transaction = 0;
        let _ = socket.ask(request.clone(), |attrs| {
            *transaction = attrs.u32(load::TRANSACTION);
        });
        return request_of(*transaction, command::TABLE_ABORT + 40);
    }
    match rng.random_range(0..10) {
        0..3 => {
            let mut request = request_of(*transaction, command::TABLE_ADD);
            request.u32(load::TABLE, *tables).text(load::NAME, "fuzz");
            request.bytes(load::HASH_KEY, &rng.random::<[u8; 16]>());
            request.u8(load::HOPS, hops);
            put_selector(rng, &mut request);
            for _ in 0..rng.random_range(1..5) {
                put_backend(rng, &mut request);
            }
            for _ in 0..rng.random_range(0..3) {
                put_bind(rng, &mut request);
            }
            *tables += 1;
            request
        }
        3 => {
            let mut request = request_of(*transaction, command::BIND_ADD);
            request.u32(load::TABLE, rng.random_range(0..2));
            for _ in 0..rng.random_range(0..9) {
                put_bind(rng, &mut request);
            }
            request
        }
        4..9 => {
            let mut request = request_of(*transaction, command::ROW_SET);
            request.u32(load::TABLE, tables.saturating_sub(1));
            request.u32(load::FIRST_ROW, *pick(rng, &[0, 0, 30_000, 65_535, 65_536]));
            let len = *pick(rng, &[0, 1, 2, 7, 1_021, 1_024, 30_000 * 2, 65_531, 65_530]);
            let mut rows = vec![0; len];
            if rng.random_ratio(1, 4) {
                rng.fill_bytes(&mut rows);
            }
            request.bytes(load::ROWS, &rows);
            request
        }
        _ => request_of(
            *transaction,
            *pick(rng, &[command::TABLE_COMMIT, command::TABLE_ABORT]),
        ),
    }
}

fn request_of(transaction: u32, command: u8) -> Request {
    let mut request = Request::new(command, VERSION, 0);
    request.u32(load::TRANSACTION, transaction);
    request
}

/// How packets find their rows: what no table can be among it.
fn put_selector(rng: &mut ChaCha8Rng, request: &mut Request) {
    if rng.random_ratio(1, 2) {
        return;
    }
    request.u8(load::FORWARD, *pick(rng, &[0, 1, 1, 2, 200]));
    request.u8(load::SELECT, *pick(rng, &[0, 1, 1, 1, 1, 2, 255]));
    let rows = [
        0,
        1,
        7,
        1_021,
        1_024,
        30_000,
        65_536,
        655_373,
        655_374,
        u32::MAX,
    ];
    request.u32(load::NUM_ROWS, *pick(rng, &rows));
    if rng.random_ratio(1, 2) {
        request.u8(load::FLOW_HASH, *pick(rng, &[0, 1, 2, 3, 4, 5, 255]));
    }
}

fn put_backend(rng: &mut ChaCha8Rng, request: &mut Request) {
    let address: [u8; 16] = rng.random();
    let len = *pick(rng, &[4, 4, 4, 4, 4, 4, 16, 5]);
    request.nest(load::BACKEND, |nest| {
        nest.bytes(backend::ADDRESS, &address[..len]);
        nest.u8(backend::STATE, rng.random_range(0..5));
        nest.u8(backend::HEALTHY, rng.random_range(0..2));
    });
}

fn put_bind(rng: &mut ChaCha8Rng, request: &mut Request) {
    let address: [u8; 16] = rng.random();
    let len = *pick(rng, &[4, 16]);
    request.nest(load::BIND, |nest| {
        nest.bytes(bind::ADDRESS, &address[..len]);
        nest.u8(bind::PREFIX_LEN, rng.random_range(0..34));
        nest.u8(bind::PROTO, *pick(rng, &[6, 6, 17, 17, 1, 58]));
        nest.u16(bind::PORT_START, rng.random());
        if rng.random_ratio(1, 2) {
            nest.u16(bind::PORT_END, rng.random());
        }
    });
}

/// Any command with any attributes.
fn any(rng: &mut ChaCha8Rng, transaction: u32) -> Request {
    let version = if rng.random_ratio(1, 20) {
        rng.random()
    } else {
        VERSION
    };
    let number = *pick(
        rng,
        &[
            command::TABLE_BEGIN,
            command::TABLE_ADD,
            command::BIND_ADD,
            command::ROW_SET,
            command::TABLE_COMMIT,
            command::TABLE_ABORT,
            command::TABLE_GET,
            command::BIND_GET,
            command::ROW_GET,
            command::LOOKUP,
            command::CONFIG_SET,
            command::CONFIG_GET,
            command::ATTACH,
            command::DETACH,
            command::DEVICE_GET,
            command::STATS_GET,
            command::STATUS_GET,
            command::TABLE_NTF,
            0,
            255,
        ],
    );
    let mut request = Request::new(number, version, 0);
    if rng.random_ratio(1, 2) {
        request.u32(load::TRANSACTION, transaction);
    }
    attributes(rng, &mut request, 0);
    request
}

/// A message to the redirect: its door opened with settings that are right most of the time, or anything.
fn door_request(rng: &mut ChaCha8Rng, open: bool) -> Request {
    if !open {
        let mut request = Request::new(*pick(rng, &[0, 1, 1, 2, 3, 4, 5, 255]), door::VERSION, 0);
        attributes(rng, &mut request, 0);
        return request;
    }
    let mut request = Request::new(door::command::ON, door::VERSION, 0);
    if rng.random_ratio(1, 2) {
        request.u16(door::redirect::PORT, rng.random());
    }
    // At most 16 are allowed.
    for _ in 0..*pick(rng, &[0, 0, 1, 2, 15, 16, 17]) {
        let address: [u8; 16] = rng.random();
        let len = *pick(rng, &[4, 4, 4, 4, 16, 16, 16, 5]);
        request.nest(door::redirect::ALLOW_HOP, |nest| {
            nest.bytes(door::prefix::ADDRESS, &address[..len]);
            nest.u8(door::prefix::PREFIX_LEN, rng.random_range(0..34));
        });
    }
    request
}

fn attributes(rng: &mut ChaCha8Rng, request: &mut Request, depth: u32) {
    for _ in 0..rng.random_range(0..8) {
        let kind = match rng.random_range(0..20) {
            0 => rng.random(),
            _ => rng.random_range(0..24),
        };
        if depth < 12 && rng.random_ratio(1, 5) {
            request.nest(kind, |nest| attributes(rng, nest, depth + 1));
            continue;
        }
        let len = *pick(rng, &[0, 1, 1, 2, 2, 4, 4, 4, 5, 6, 8, 16, 16, 17, 300]);
        let mut payload = vec![0; len];
        if rng.random_ratio(2, 3) {
            rng.fill_bytes(&mut payload);
        }
        request.bytes(kind, &payload);
    }
}

/// Flips bits, cuts, lengthens; the message stays one to the family.
fn spoil(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, family: u16) {
    for _ in 0..rng.random_range(0..6) {
        let at = rng.random_range(0..bytes.len().min(4096));
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
    match rng.random_range(0..4) {
        0 => bytes.truncate(rng.random_range(16..=bytes.len())),
        1 => bytes.extend(rng.random::<[u8; 7]>()),
        _ => {}
    }
    if rng.random_ratio(3, 4) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[0..4].copy_from_slice(&len.to_ne_bytes());
    }
    bytes[4..6].copy_from_slice(&family.to_ne_bytes());
}

/// Load made-up tables into the director: table i has the name `t<i>`, its binds are TCP ports from 1 on of
/// 10.x.y.z, its backends 172.16.0.0 and on, the same for all tables.
#[derive(clap::Args)]
pub(crate) struct Fill {
    /// How many tables
    #[arg(long, default_value_t = 1)]
    tables: u32,
    /// Backends of each, at most 256
    #[arg(long, default_value_t = 2)]
    backends: u16,
    /// Binds of each, at most 65,535
    #[arg(long, default_value_t = 1)]
    binds: u16,
    /// Hops of a row
    #[arg(long, default_value_t = 2)]
    hops: u8,
    /// Addresses of IPv6, of binds and backends
    #[arg(long)]
    ipv6: bool,
    /// An address for each bind and port 443, in place of an address for each table and a port for each bind
    #[arg(long)]
    spread: bool,
    /// Binds of UDP in place of TCP
    #[arg(long)]
    udp: bool,
    /// Services: Maglev tables of one row, whose packets leave by GRE, with --hops 1
    #[arg(long)]
    services: bool,
    /// Stop after so many tables, say "stopped", wait for the end of standard input, and leave without
    /// committing
    #[arg(long)]
    stop_after: Option<usize>,
    /// Say "ready" when all is sent, and commit at the end of standard input
    #[arg(long)]
    wait: bool,
}

pub(crate) fn fill(arguments: &Fill) -> Result<()> {
    let address = |number: u32, from: u32| {
        if arguments.ipv6 {
            // fd00::, and the IPv4 address at its end
            Addr::V6((0xfd_u128 << 120 | u128::from(from + number)).to_be_bytes())
        } else {
            Addr::V4((from + number).to_be_bytes())
        }
    };
    let backends: Vec<Backend> = (0..u32::from(arguments.backends))
        .map(|number| Backend {
            addr: address(number, 0xac10_0000),
            state: State::Active,
            healthy: true,
        })
        .collect();
    let binds: Vec<Vec<Bind>> = (0..arguments.tables)
        .map(|table| {
            let count = u32::from(arguments.binds);
            let binds = (0..arguments.binds).map(|number| {
                let (at, port) = if arguments.spread {
                    (table * count + u32::from(number), 443)
                } else {
                    (table, number + 1)
                };
                let addr = address(at, 0x0a00_0000);
                Bind {
                    addr,
                    prefix_len: addr.bits(),
                    proto: Some(if arguments.udp {
                        Proto::Udp
                    } else {
                        Proto::Tcp
                    }),
                    port_start: port,
                    port_end: port,
                }
            });
            binds.collect()
        })
        .collect();
    let names: Vec<String> = (0..arguments.tables)
        .map(|table| format!("t{table}"))
        .collect();
    let hops = usize::from(arguments.hops);
    let (forward, words, num_rows) = match arguments.services {
        false => (Forward::default(), Words::DEFAULT, ROWS),
        true => {
            let selector = Selector {
                select: Select::Maglev,
                rows: 1,
                flow_hash: FlowHash::Own,
            };
            (Forward::Gre, Words::DEFAULT.with_selector(selector), 1)
        }
    };
    let rows: Vec<u8> = (0..num_rows)
        .flat_map(|row| (row..row + hops).map(|hop| (hop % backends.len().max(1)) as u8))
        .collect();
    let specs: Vec<TableSpec<'_>> = names
        .iter()
        .zip(&binds)
        .map(|(name, binds)| TableSpec {
            name,
            hash_key: [7; 16],
            hops: arguments.hops,
            forward,
            words,
            identifiers: &[],
            backends: &backends,
            binds,
            rows: &rows,
        })
        .collect();
    let mut glb = Glb::open()?;
    let mut loading = glb.begin(&specs)?;
    for (number, spec) in specs.iter().enumerate() {
        if arguments.stop_after == Some(number) {
            println!("stopped");
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
            // As a loader that is killed: without a word to the kernel.
            std::process::exit(0);
        }
        loading.add(spec)?;
    }
    if arguments.wait {
        println!("ready");
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    }
    let started = std::time::Instant::now();
    let generation = loading.commit()?;
    println!(
        "load {generation}, commit in {:.3} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
