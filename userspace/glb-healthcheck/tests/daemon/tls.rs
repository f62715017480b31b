// SPDX-License-Identifier: GPL-2.0

//! HTTPS: names, certificates, and servers that do not speak it.

use crate::backends::{backend, ReadWrite, Web, Wrap};
use crate::harness::{fast, run, table, Place};
use crate::loopback::address;
use crate::wait::wait;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What servers are asked for.
type Names = Arc<Mutex<Vec<Option<String>>>>;

struct Tls {
    config: Arc<ServerConfig>,
    names: Names,
}

impl Wrap for Tls {
    fn serve(&self, stream: TcpStream, serve: &mut dyn FnMut(&mut dyn ReadWrite)) {
        let connection = ServerConnection::new(self.config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        serve(&mut stream);
        let name = stream.conn.server_name().map(str::to_owned);
        self.names.lock().unwrap().push(name);
    }
}

/// A server of something else, which speaks first.
struct Mail;

impl Wrap for Mail {
    fn serve(&self, mut stream: TcpStream, _serve: &mut dyn FnMut(&mut dyn ReadWrite)) {
        let _ = stream.write_all(b"220 mail.example.net ESMTP\r\n");
        let mut hello = [0; 2048];
        let _ = stream.read(&mut hello);
    }
}

/// An authority, and a server with a certificate of it for `www.example.net`.
fn authority() -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["www.example.net".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), Arc::new(config))
}

#[test]
fn certificates_count_where_that_is_asked_for() {
    let place = Place::new("tls");
    let (pem, config) = authority();
    place.write("ca.pem", &pem);
    let names = Names::default();
    let server = || {
        let (config, names) = (config.clone(), names.clone());
        Web::at((address(), 0).into(), Tls { config, names })
    };
    let servers = [server(), server(), server()];
    let mail = Web::at((address(), 0).into(), Mail);
    let checks = |n: usize, host: Option<&str>, verify: bool| {
        let mut checks = json!({"https": servers[n].place.port(), "https_verify": verify});
        if let Some(host) = host {
            checks["https_host"] = host.into();
        }
        backend(servers[n].ip(), checks)
    };
    let backends = [
        checks(0, None, false),
        checks(1, Some("www.example.net"), true),
        checks(2, Some("other.example.net"), true),
        backend(mail.ip(), json!({"https": mail.place.port()})),
    ];
    place.write("src.json", &table(&fast(), &backends));
    place.configure(&json!({"https_ca_file": place.path("ca.pem")}));
    let daemon = place.start();
    place.wait_published(&[true, true, false, false]);
    daemon.wait_failure(
        2,
        "TLS: invalid peer certificate: certificate not valid for name \"other.example.net\"",
    );
    daemon.wait_failure(3, "TLS: ");
    let host = |n: usize| servers[n].requests().pop().unwrap();
    assert!(host(0).contains(&format!("host: {}\r\n", servers[0].place)));
    assert!(host(1).contains("host: www.example.net\r\n"));
    // An address is not a name that can be asked for (RFC 6066).
    for name in [None, Some("www.example.net"), Some("other.example.net")] {
        wait(&format!("a server to be asked for {name:?}"), || {
            let names = names.lock().unwrap();
            let asked = names.iter().any(|said| said.as_deref() == name);
            asked.then_some(())
        });
    }
}

#[test]
fn authorities_that_are_not_there() {
    let place = Place::new("ca");
    let ip = address();
    let checks = json!({"https": 443, "https_host": "a.example.net", "https_verify": true});
    place.write(
        "src.json",
        &table(
            &fast(),
            &[backend(ip, checks), backend(address(), json!({}))],
        ),
    );
    place.write("empty.pem", "nothing\n");
    for (file, said) in [
        ("missing.pem", "No such file"),
        ("empty.pem", "holds no certificate"),
    ] {
        place.configure(&json!({"https_ca_file": place.path(file)}));
        let (status, _, err) = run(place.command().arg("--check"));
        assert_eq!(status, 1);
        assert!(err.contains("conf: https_ca_file: "), "{err}");
        assert!(err.contains(said), "{err}");
    }
}
