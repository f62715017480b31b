// SPDX-License-Identifier: GPL-2.0

//! `glb-packets cert`: an authority of a test's own, and a certificate of it.

use anyhow::{Context, Result};
use clap::Args;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::PathBuf;

/// Writes ca.pem, cert.pem and key.pem: an authority, and a certificate that it has given out.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The directory; made if it is not there
    dir: PathBuf,
    /// The name that the certificate is for
    #[arg(long)]
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([arguments.name.clone()])?.signed_by(&key, &issuer)?;
    fs::create_dir_all(&arguments.dir)?;
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        let file = arguments.dir.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
