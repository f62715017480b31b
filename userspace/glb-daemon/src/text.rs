// SPDX-License-Identifier: GPL-2.0

//! The text format of Prometheus (exposition format 0.0.4).

use crate::histogram::Histogram;
use std::fmt::Write;

/// Kinds of metrics.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// What only grows
    Counter,
    /// What goes up and down
    Gauge,
    /// How often which values were
    Histogram,
}

/// A page of metrics under way.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a metric; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Type, help: &str) -> Family<'_> {
        self.named(name.to_owned(), kind, help)
    }

    /// As [`Self::family`], for names that are not known before.
    pub fn named(&mut self, name: String, kind: Type, help: &str) -> Family<'_> {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family {
            out: &mut self.0,
            name,
        }
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

/// A metric whose samples are written.
#[derive(Debug)]
pub struct Family<'t> {
    out: &'t mut String,
    name: String,
}

impl Family<'_> {
    /// A value.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.write("", labels, None, value);
        self
    }

    /// All values of a histogram.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            let bound = if bound.is_infinite() {
                "+Inf".to_owned()
            } else {
                bound.to_string()
            };
            self.write("_bucket", labels, Some(("le", &bound)), count as f64);
        }
        self.write("_sum", labels, None, histogram.sum());
        self.write("_count", labels, None, histogram.count() as f64);
    }

    fn write(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        last: Option<(&str, &str)>,
        value: f64,
    ) {
        let _ = write!(self.out, "{}{suffix}", self.name);
        for (index, (name, value)) in labels.iter().chain(&last).enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            let _ = write!(self.out, "{separator}{name}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() || last.is_some() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}

/// The name of a counter's metric, unless Prometheus could not take it.
#[must_use]
pub fn metric(module: &str, name: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    // Counters end in `_total` there, so `total_packets` would say it twice.
    let stem = name.strip_prefix("total_").unwrap_or(name);
    Some(format!("{module}_{stem}_total"))
}

fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn as_prometheus_reads_it() {
        let mut text = Text::default();
        text.family("up", Type::Gauge, "Whether it is up.")
            .sample(&[], 1.0)
            .sample(&[("name", "a\"b\\c\nd"), ("n", "2")], 0.5);
        let mut histogram = Histogram::new(&[0.1]);
        histogram.observe(Duration::from_millis(250));
        text.family("took_seconds", Type::Histogram, "How long it took.")
            .histogram(&[("kind", "tcp")], &histogram);
        assert_eq!(
            text.finish(),
            "# HELP up Whether it is up.\n\
             # TYPE up gauge\n\
             up 1\n\
             up{name=\"a\\\"b\\\\c\\nd\",n=\"2\"} 0.5\n\
             # HELP took_seconds How long it took.\n\
             # TYPE took_seconds histogram\n\
             took_seconds_bucket{kind=\"tcp\",le=\"0.1\"} 0\n\
             took_seconds_bucket{kind=\"tcp\",le=\"+Inf\"} 1\n\
             took_seconds_sum{kind=\"tcp\"} 0.25\n\
             took_seconds_count{kind=\"tcp\"} 1\n"
        );
    }
}
