// SPDX-License-Identifier: GPL-2.0

//! Draws docs/rows-v3.svg: how even the rows are and how many move needlessly, for rendezvous (version 2),
//! Maglev (docs/maglev.md) and version 3. The figures also go to standard error, as a table.
//!
//! ```text
//! cargo run --release -p glb_core --example rows_v3_figure > docs/rows-v3.svg
//! ```

use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::maglev;
use glb_core::director::select::rows::v2::build_rows;
use glb_core::director::select::rows::v3 as rows3;
use glb_core::director::select::rows::v3::{Member, Room};
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;

const COUNTS: [usize; 12] = [2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 192, 256];
const SEEDS: [u8; 3] = [1, 2, 3];

/// First hops of all rows, for these hosts of a table that is made for so many.
type Rule = fn(seed: u8, hosts: &[u16], count: usize) -> Vec<u16>;

const RULES: [(&str, &str, Rule); 5] = [
    ("rendezvous (version 2)", "#c0392b", rendezvous),
    ("Maglev, 65,537 rows", "#8e44ad", |seed, hosts, _| {
        maglev(seed, hosts, 65_537)
    }),
    (
        "Maglev, 100 rows a backend",
        "#d35400",
        |seed, hosts, count| maglev(seed, hosts, hundred_each(count as u32)),
    ),
    ("version 3, 2 or 3 hops", "#2980b9", |seed, hosts, _| {
        version_3(seed, hosts, 2)
    }),
    ("version 3, 4 hops", "#16a085", |seed, hosts, _| {
        version_3(seed, hosts, 4)
    }),
];

/// The first prime from 100 rows for each backend on, at least 1,021: the least size with shares that are exact to 1 %.
fn hundred_each(count: u32) -> u32 {
    let mut sizes = (100 * count).max(1_021)..;
    sizes
        .find(|size| maglev::size::is_prime(*size))
        .expect("a prime")
}

fn backend(host: u16) -> Backend {
    let [high, low] = host.to_be_bytes();
    Backend {
        addr: Addr::V4([10, 0, high, low]),
        state: State::Active,
        healthy: true,
    }
}

fn key(seed: u8) -> SipKey {
    SipKey::new(&[seed; 16])
}

fn rendezvous(seed: u8, hosts: &[u16], _: usize) -> Vec<u16> {
    let backends: Vec<Backend> = hosts.iter().copied().map(backend).collect();
    let mut rows = vec![[0; 2]; ROWS];
    build_rows(&key(seed), &backends, &mut rows).expect("there are backends");
    rows.iter().map(|row| hosts[usize::from(row[0])]).collect()
}

fn version_3(seed: u8, hosts: &[u16], hops: usize) -> Vec<u16> {
    let member = |&host| Member {
        backend: backend(host),
        weight: 1,
        domain: host,
    };
    let members: Vec<Member> = hosts.iter().map(member).collect();
    let mut rows = vec![0; ROWS * hops];
    let mut room = Room {
        costs: &mut vec![0; ROWS * hops],
        first: &mut vec![0; ROWS],
        before: &mut vec![0; ROWS],
        sorted: &mut vec![0; ROWS * 2],
    };
    rows3::build(&key(seed), &members, hops, &mut rows, &mut room).expect("there are backends");
    rows.chunks(hops)
        .map(|row| hosts[usize::from(row[0])])
        .collect()
}

fn maglev(seed: u8, hosts: &[u16], size: u32) -> Vec<u16> {
    let member = |&host| maglev::Member {
        backend: backend(host),
        weight: 1,
    };
    let members: Vec<maglev::Member> = hosts.iter().map(member).collect();
    let mut rows = vec![0; size as usize];
    let table = maglev::Table {
        seed: &key(seed),
        members: &members,
        size,
        hops: 1,
    };
    let mut room = maglev::Room {
        cursors: &mut vec![maglev::Cursor::default(); hosts.len()],
        free: &mut vec![0; maglev::words_needed(size)],
        without: &mut [],
        owners: &mut [],
        group: &mut [],
    };
    maglev::build(&table, &mut rows, &mut room, &mut || ()).expect("there are backends");
    rows.iter()
        .map(|index| hosts[usize::from(*index)])
        .collect()
}

/// Per cent of rows that the busiest has above its fair share, and that move without need when one leaves.
fn measure(rule: Rule, count: usize) -> (f64, f64) {
    let hosts: Vec<u16> = (0..count as u16).collect();
    let (mut busiest, mut needless) = (0.0, 0.0);
    for seed in SEEDS {
        let rows = rule(seed, &hosts, count);
        let mut loads = vec![0u32; count];
        rows.iter().for_each(|host| loads[usize::from(*host)] += 1);
        let most = f64::from(*loads.iter().max().expect("there are hosts"));
        busiest += (most * count as f64 / rows.len() as f64 - 1.0) * 100.0;
        let gone = (usize::from(seed) * 37 % count) as u16;
        let left: Vec<u16> = hosts.iter().copied().filter(|host| *host != gone).collect();
        let after = rule(seed, &left, count);
        let moved = rows
            .iter()
            .zip(&after)
            .filter(|(old, new)| **old != gone && old != new);
        needless += moved.count() as f64 * 100.0 / rows.len() as f64;
    }
    (busiest / SEEDS.len() as f64, needless / SEEDS.len() as f64)
}

/// One of the two graphs.
struct Panel {
    left: f64,
    title: &'static str,
    /// Per cent at the top.
    most: f64,
    ticks: [f64; 5],
    /// Where a line says what was aimed for.
    aim: f64,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 280.0;
const TOP: f64 = 60.0;

impl Panel {
    fn x(&self, count: usize) -> f64 {
        self.left + ((count as f64).log2() - 1.0) / 7.0 * WIDTH
    }

    /// The root keeps both 0.3 % and 20 % readable.
    fn y(&self, percent: f64) -> f64 {
        TOP + HEIGHT * (1.0 - (percent.max(0.0) / self.most).sqrt())
    }

    fn draw(&self, curves: &[Vec<f64>]) {
        let (left, right) = (self.left, self.left + WIDTH);
        println!(
            r#"<text x="{left}" y="40" class="title">{}</text>"#,
            self.title
        );
        for tick in self.ticks {
            let y = self.y(tick);
            println!(r#"<path d="M{left} {y:.1}H{right}" class="grid"/>"#);
            let x = left - 6.0;
            println!(
                r#"<text x="{x}" y="{:.1}" text-anchor="end">{tick} %</text>"#,
                y + 4.0
            );
        }
        for count in [2usize, 4, 8, 16, 32, 64, 128, 256] {
            let (x, y) = (self.x(count), TOP + HEIGHT + 18.0);
            println!(r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{count}</text>"#);
        }
        let (x, y) = (left + WIDTH / 2.0, TOP + HEIGHT + 38.0);
        println!(r#"<text x="{x}" y="{y}" text-anchor="middle">backends</text>"#);
        let y = self.y(self.aim);
        println!(r#"<path d="M{left} {y:.1}H{right}" class="aim"/>"#);
        let aim = self.aim;
        println!(
            r#"<text x="{right}" y="{:.1}" text-anchor="end">aim: {aim} %</text>"#,
            y - 4.0
        );
        for (curve, (_, colour, _)) in curves.iter().zip(RULES) {
            let points: Vec<String> = COUNTS
                .iter()
                .zip(curve)
                .map(|(count, percent)| format!("{:.1},{:.1}", self.x(*count), self.y(*percent)))
                .collect();
            println!(
                r#"<polyline points="{}" stroke="{colour}"/>"#,
                points.join(" ")
            );
        }
    }
}

fn main() {
    let measured: Vec<Vec<(f64, f64)>> = RULES
        .iter()
        .map(|(_, _, rule)| COUNTS.iter().map(|count| measure(*rule, *count)).collect())
        .collect();
    eprintln!(
        "backends  busiest / needless, per cent: {:?}",
        RULES.map(|(name, ..)| name)
    );
    for (index, count) in COUNTS.iter().enumerate() {
        let cell =
            |curve: &Vec<(f64, f64)>| format!("{:6.2} /{:5.2}", curve[index].0, curve[index].1);
        let cells: Vec<String> = measured.iter().map(cell).collect();
        eprintln!("{count:>8}  {}", cells.join("   "));
    }
    println!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 430" font-family="sans-serif" font-size="12">"#
    );
    println!("<!-- SPDX-License-Identifier: GPL-2.0; made by core/examples/rows_v3_figure.rs -->");
    println!("<style>.title{{font-size:15px;font-weight:bold}}.grid{{stroke:#ddd}}.aim{{stroke:#555;stroke-dasharray:5 4}}polyline{{fill:none;stroke-width:2}}</style>");
    println!(r##"<rect width="960" height="430" fill="#fff"/>"##);
    let panels = [
        Panel {
            left: 60.0,
            title: "Busiest backend above its fair share",
            most: 25.0,
            ticks: [0.0, 1.0, 5.0, 10.0, 20.0],
            aim: 2.0,
        },
        Panel {
            left: 540.0,
            title: "Rows moved needlessly when one leaves",
            most: 3.5,
            ticks: [0.0, 0.1, 0.5, 1.0, 3.0],
            aim: 0.7,
        },
    ];
    let of = |pick: fn(&(f64, f64)) -> f64| -> Vec<Vec<f64>> {
        measured
            .iter()
            .map(|curve| curve.iter().map(pick).collect())
            .collect()
    };
    panels[0].draw(&of(|m| m.0));
    panels[1].draw(&of(|m| m.1));
    for (index, (name, colour, _)) in RULES.iter().enumerate() {
        let x = 60 + index * 182;
        println!(r#"<path d="M{x} 405h24" stroke="{colour}" stroke-width="3"/>"#);
        println!(r#"<text x="{}" y="409">{name}</text>"#, x + 30);
    }
    println!("</svg>");
}
