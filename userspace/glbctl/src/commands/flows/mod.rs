// SPDX-License-Identifier: GPL-2.0

//! `glbctl redirect flows`: which TCP connections of this proxy depend on second chance, since the packets of their clients go to
//! another proxy first. As long as there are some, the next change of the table may break them.

mod report;
mod source;

pub(crate) use self::report::not_in_a_table;
use self::report::Report;
pub(crate) use self::source::Source;
use super::say::Say;
use crate::cli::redirect::Flows;
use crate::output::{print, Failure};
use glb_config::flows::{own, ports, Census, Found, Listed, Proxy, Seen, Way};
use glb_core::packet::addr::Addr;
use glb_netlink::machine::Machine;
use glb_netlink::sock_diag::{Connection, Sockets};
use glb_netlink::unseen::unseen;
use std::collections::HashSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

/// How often connections are counted while they are waited for.
const PACE: Duration = Duration::from_secs(1);
/// How often connections are counted anew where a director gets other tables meanwhile.
const TRIES: usize = 5;

pub(crate) fn run(args: &Flows, json: bool) -> Result<(), Failure> {
    let mut source = Source::open(args.table.as_deref(), args.config.as_deref(), json)?;
    let mut say = Say::new(json);
    let mut counted: Result<Report, String> = Ok(current(args, &mut source, json)?);
    let report = loop {
        match counted {
            Ok(report) if report.is_safe() || !args.wait => break report,
            Ok(report) => say.say(&report.progress()),
            // What fails while it waits may pass: a table that is half written, a namespace that is made anew.
            Err(reason) => say.say(&reason),
        }
        thread::sleep(PACE);
        let again = source.refresh(json);
        counted = again
            .and_then(|()| current(args, &mut source, json))
            .map_err(Failure::text);
    };
    print(json, &report, |out| report.write(out))?;
    if args.exit_code && !report.is_safe() {
        return Err(Failure::NotSafe);
    }
    Ok(())
}

/// Counts by the tables that there are, even if a director gets others meanwhile.
fn current(args: &Flows, source: &mut Source, json: bool) -> Result<Report, Failure> {
    for _ in 0..TRIES {
        // Also what fails may do so since the tables are others.
        let report = report(args, source);
        if !source.is_outdated()? {
            return report;
        }
        source.refresh(json)?;
    }
    let reason = "tables are loaded faster than connections can be counted: try again";
    Err(Failure::Message(reason.to_owned()))
}

/// Counts once.
fn report(args: &Flows, source: &mut Source) -> Result<Report, Failure> {
    // Each time anew: a container that is made again has another namespace by the same name.
    let mut sockets = Sockets::open(&args.netns)?;
    let addresses = addresses()?;
    let tables = source.listed();
    let mut report = Report::default();
    let mut count = Count {
        tables: &tables,
        addresses: &addresses,
        backend: args.backend,
        direct: &args.direct,
    };
    let census = count.run(source, &mut sockets, &mut |found| {
        if args.list {
            report.list(&tables, found);
        }
    })?;
    report.finish(&tables, &census, args.list);
    report.judge(source.name(), unseen(&sockets));
    report.notes(source, &sockets);
    Ok(report)
}

/// The addresses of this machine.
pub(crate) fn addresses() -> Result<HashSet<Addr>, Failure> {
    let addresses = Machine::open()?.addresses()?;
    Ok(addresses.iter().map(|one| one.addr).collect())
}

/// A connection that depends on second chance.
pub(crate) struct Dependent<'a> {
    netns: &'a str,
    connection: &'a Connection,
    way: Way,
    found: Found,
    first_hop: Addr,
}

/// What connections are counted by.
pub(crate) struct Count<'a> {
    pub(crate) tables: &'a [Listed],
    pub(crate) addresses: &'a HashSet<Addr>,
    /// The proxy, unless it is the one with an address of this machine.
    pub(crate) backend: Option<IpAddr>,
    /// Ports whose connections come without a director.
    pub(crate) direct: &'a [u16],
}

impl<'a> Count<'a> {
    /// Counts the connections that there are now. `each` gets those that depend on second chance.
    pub(crate) fn run(
        &mut self,
        source: &mut Source,
        sockets: &mut Sockets,
        each: &mut dyn FnMut(&Dependent<'_>),
    ) -> Result<Census<'a>, Failure> {
        let proxy = match self.backend {
            Some(IpAddr::V4(addr)) => Proxy::Named(Addr::V4(addr.octets())),
            Some(IpAddr::V6(addr)) => Proxy::Named(Addr::V6(addr.octets())),
            None => Proxy::Here(self.addresses),
        };
        let own = own(self.tables, proxy).map_err(|reason| source.fault(&reason))?;
        let mut census = Census::new(own, self.addresses).direct(self.direct);
        let mut fault = None;
        sockets.connections(&ports(self.tables), &mut |netns, connection| {
            if fault.is_some() {
                return;
            }
            let seen = Seen {
                flow: connection.flow,
                listened: connection.listened,
                tracked: connection.tracked,
            };
            match census.take(source.ways(), &seen) {
                Ok(Some((way, found))) if found != Found::First => {
                    let Some(&first_hop) = census.hops().first() else {
                        return;
                    };
                    each(&Dependent {
                        netns,
                        connection,
                        way,
                        found,
                        first_hop,
                    });
                }
                Ok(_) => {}
                Err(reason) => fault = Some(reason),
            }
        })?;
        match fault {
            Some(reason) => Err(source.fault(&reason)),
            None => Ok(census),
        }
    }
}
