// SPDX-License-Identifier: GPL-2.0

//! Making the checks.

mod echo;
mod http;
mod packet;
mod tcp;
mod through;
mod tls;

use echo::Echo;
use http::How;
pub(crate) use tls::{server_name, Tls};

use crate::logic::engine::Outcome;
use crate::logic::probe::{Ask, Probe, Target};
use rustix::io::Errno;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use through::{Dial, Through};

/// What checks need that lasts longer than one check.
#[derive(Default)]
pub(crate) struct Checker {
    echo: Echo,
    through: Through,
    spare_tls: OnceLock<Arc<Tls>>,
}

impl Checker {
    /// Makes a check, within the target's timeout; how it went, and how long it took.
    pub(crate) async fn check(
        &self,
        target: &Target,
        tls: Option<Arc<Tls>>,
    ) -> (Outcome, Duration) {
        let start = Instant::now();
        let made = tokio::time::timeout(target.timeout(), self.make(&target.probe, tls));
        let outcome = made.await.unwrap_or_else(|_| {
            let ms = target.timing.timeout_ms;
            Outcome::Bad(format!("no answer within {ms} ms{}", hint(&target.probe)))
        });
        (outcome, start.elapsed())
    }

    /// The set-up of TLS: that of the plan, or, for redirects of a plan that has no HTTPS check, one that takes
    /// any certificate.
    fn tls(&self, planned: Option<&Arc<Tls>>) -> Result<Arc<Tls>, Failure> {
        if let Some(tls) = planned.or_else(|| self.spare_tls.get()) {
            return Ok(tls.clone());
        }
        let tls = Tls::new(None).map(Arc::new).map_err(Failure::Unable)?;
        Ok(self.spare_tls.get_or_init(|| tls).clone())
    }

    async fn make(&self, probe: &Probe, tls: Option<Arc<Tls>>) -> Outcome {
        let made = match probe {
            Probe::Direct(addr, ask) => self.ask(*addr, ask, Dial::Direct, tls.as_ref()).await,
            Probe::Through(way, vip, ask) => {
                let dial = Dial::Through(&self.through, way, *vip);
                self.ask(*vip, ask, dial, tls.as_ref()).await
            }
            Probe::Echo {
                tunnel,
                outer,
                inner,
            } => self.echo.check(*tunnel, *outer, *inner).await,
        };
        match made {
            Ok(()) => Outcome::Good,
            Err(Failure::Bad(reason)) => Outcome::Bad(reason),
            Err(Failure::Unable(reason)) => Outcome::Unable(reason),
        }
    }
}

impl Checker {
    /// Asks over a connection to this address.
    async fn ask(
        &self,
        addr: IpAddr,
        ask: &Ask,
        dial: Dial<'_>,
        tls: Option<&Arc<Tls>>,
    ) -> Result<(), Failure> {
        let how = |secure, verify| How {
            secure,
            verify,
            dial,
        };
        match ask {
            Ask::Tcp(port) => tcp::check(SocketAddr::new(addr, *port), dial).await,
            Ask::Http(check) => http::check(addr, check, how(false, false), || self.tls(tls)).await,
            Ask::Https(check) => {
                let how = how(true, check.verify);
                http::check(addr, &check.http, how, || self.tls(tls)).await
            }
        }
    }
}

/// What an operator should look at when there is no answer at all.
fn hint(probe: &Probe) -> &'static str {
    match probe {
        Probe::Echo { outer, inner, .. } if outer.ip() != *inner => {
            " (is the address on the proxy's tunnel device?)"
        }
        Probe::Echo { .. } => " (is the proxy's tunnel up?)",
        Probe::Through(..) => {
            " (does the backend take the forward's packets, and does it have the VIP?)"
        }
        Probe::Direct(..) => "",
    }
}

/// Why a check is not good.
#[derive(Debug)]
enum Failure {
    /// Because of the backend.
    Bad(String),
    /// Because of this machine.
    Unable(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if is_ours(&error) {
            Self::Unable(error.to_string())
        } else {
            Self::Bad(error.to_string())
        }
    }
}

/// Whether an error tells of this machine, not of the backend.
fn is_ours(error: &io::Error) -> bool {
    const OURS: [Errno; 7] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::PERM,
        Errno::ACCESS,
        Errno::ADDRNOTAVAIL,
    ];
    Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno))
}

/// An error with its causes, unless they say the same again.
fn with_causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}
