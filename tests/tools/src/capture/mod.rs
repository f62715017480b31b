// SPDX-License-Identifier: GPL-2.0

//! Captures: made from hex, and compared byte for byte.

pub(crate) mod ethernet;
pub(crate) mod pcap;
mod vectors;

pub(crate) use vectors::{vectors, Vectors};

use anyhow::{bail, Context, Result};
use ethernet::Mac;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

/// Turn lines of hex (IP packets, or frames with --frames) into a capture.
#[derive(clap::Args)]
pub(crate) struct FromHex {
    /// Where the lines are; `-` is standard input. Empty lines and those that start with `#` are skipped.
    #[arg(default_value = "-")]
    lines: PathBuf,
    /// The capture to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The lines are whole Ethernet frames.
    #[arg(long)]
    frames: bool,
    /// Destination of the Ethernet header.
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:02")]
    dst_mac: Mac,
    /// Source of the Ethernet header.
    #[arg(long, value_name = "MAC", default_value = "02:00:00:00:00:01")]
    src_mac: Mac,
}

/// Compare two captures; exit 1 at the first frame that differs, and say where.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// What should be there.
    expected: PathBuf,
    /// What is there.
    actual: PathBuf,
    /// Leave the 14 bytes of the Ethernet header out.
    #[arg(long)]
    ignore_ethernet: bool,
}

pub(crate) fn from_hex(arguments: &FromHex) -> Result<()> {
    let mut text = String::new();
    if arguments.lines == Path::new("-") {
        io::stdin().read_to_string(&mut text)?;
    } else {
        File::open(&arguments.lines)
            .and_then(|mut file| file.read_to_string(&mut text))
            .with_context(|| arguments.lines.display().to_string())?;
    }
    let mut out = pcap::Writer::new(create(&arguments.out)?)?;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bytes = bytes_of(line).with_context(|| format!("line {}", number + 1))?;
        if arguments.frames {
            out.frame(&bytes)?;
        } else {
            out.frame(&ethernet::frame(
                arguments.dst_mac,
                arguments.src_mac,
                &bytes,
            )?)?;
        }
    }
    out.finish()
}

pub(crate) fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn bytes_of(line: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = line.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() % 2 != 0 {
        bail!("an odd number of hex digits");
    }
    digits
        .chunks(2)
        .map(|pair| {
            let text: String = pair.iter().collect();
            u8::from_str_radix(&text, 16).with_context(|| format!("'{text}' is not hex"))
        })
        .collect()
}

pub(crate) fn diff(arguments: &Diff) -> Result<()> {
    let expected = read(&arguments.expected)?;
    let actual = read(&arguments.actual)?;
    let skip = if arguments.ignore_ethernet {
        ethernet::HEADER_LEN
    } else {
        0
    };
    for (index, pair) in expected.iter().zip(&actual).enumerate() {
        let expected = pair.0.get(skip..).unwrap_or_default();
        let actual = pair.1.get(skip..).unwrap_or_default();
        if expected != actual {
            let differs = expected.iter().zip(actual).position(|(a, b)| a != b);
            let at = differs.unwrap_or_else(|| expected.len().min(actual.len()));
            bail!(
                "frame {}: {} and {} bytes differ from byte {} on:\n{}\n{}",
                index + 1,
                expected.len(),
                actual.len(),
                at + skip,
                hex(expected),
                hex(actual)
            );
        }
    }
    if expected.len() != actual.len() {
        bail!(
            "{} frames expected, {} there; the common ones are the same",
            expected.len(),
            actual.len()
        );
    }
    println!("{} frames are the same", expected.len());
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    File::open(path)
        .map_err(anyhow::Error::from)
        .and_then(|file| pcap::read_all(BufReader::new(file)))
        .with_context(|| path.display().to_string())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first packets of the specification, for tests of those who make them.
#[cfg(test)]
pub(crate) fn specification<const N: usize>() -> [Vec<u8>; N] {
    std::array::from_fn(|index| bytes_of(vectors::VECTORS[index].1).expect("it is hex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_both_ways() {
        assert_eq!(bytes_of("45 00 fF").unwrap(), [0x45, 0, 0xff]);
        assert_eq!(hex(&[0x45, 0, 0xff]), "4500ff");
        assert!(bytes_of("450").is_err());
        assert!(bytes_of("4g").is_err());
    }

    #[test]
    fn what_differs_is_found() {
        let dir = std::env::temp_dir().join(format!("glb-packets-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, frames: &[Vec<u8>]| {
            let path = dir.join(name);
            let mut out = pcap::Writer::new(create(&path).unwrap()).unwrap();
            frames.iter().for_each(|frame| out.frame(frame).unwrap());
            out.finish().unwrap();
            path
        };
        let a = write("a", &[vec![1; 20], vec![2; 20]]);
        let [mut ethernet, mut body] = [vec![1; 20], vec![1; 20]];
        ethernet[13] = 9;
        body[14] = 9;
        let same = |expected: &PathBuf, actual: PathBuf, ignore_ethernet| {
            diff(&Diff {
                expected: expected.clone(),
                actual,
                ignore_ethernet,
            })
            .is_ok()
        };
        assert!(same(&a, a.clone(), false));
        assert!(!same(&a, write("b", &[vec![1; 20]]), false));
        assert!(!same(
            &a,
            write("c", &[ethernet.clone(), vec![2; 20]]),
            false
        ));
        assert!(same(&a, write("d", &[ethernet, vec![2; 20]]), true));
        assert!(!same(&a, write("e", &[body, vec![2; 20]]), true));
        assert!(!same(&a, write("f", &[vec![1; 20], vec![2; 21]]), true));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
