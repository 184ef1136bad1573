//! `/metrics` of a node, scraped over its socket and read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Doors;

/// What a node told of itself at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub(crate) samples: BTreeMap<Series, f64>,
    /// The type of each metric: `counter`, `gauge`, `histogram`.
    pub(crate) types: BTreeMap<String, String>,
    /// Metrics that say what they are.
    pub(crate) helped: BTreeSet<String>,
}

/// The name of a sample and its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Scrape {
    pub(crate) async fn of(node: &Doors) -> Self {
        let mut socket = TcpStream::connect(node.address("admin")).await.unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Self::read(body)
    }

    fn read(text: &str) -> Self {
        let (mut samples, mut types, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').unwrap();
                types.insert(name.to_owned(), kind.to_owned());
            } else if let Some(said) = line.strip_prefix("# HELP ") {
                helped.insert(said.split_once(' ').unwrap().0.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                samples.insert(Series::read(series), value.parse().unwrap());
            }
        }
        Self { samples, types, helped }
    }

    /// The metric that a sample is of: a histogram has several names.
    pub(crate) fn metric<'a>(&self, series: &'a Series) -> &'a str {
        let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|end| series.name.strip_suffix(end));
        parts
            .into_iter()
            .find(|name| self.types.get(*name).is_some_and(|kind| kind == "histogram"))
            .unwrap_or(&series.name)
    }

    /// Whether it grows, and is looked at by how fast.
    pub(crate) fn is_counted(&self, series: &Series) -> bool {
        let metric = self.metric(series);
        metric != series.name || self.types.get(metric).is_some_and(|kind| kind == "counter")
    }

    /// The sum of what has that name and those labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |series: &&Series| {
            series.name == name
                && labels.iter().all(|(key, value)| series.labels.get(*key).is_some_and(|it| it == value))
        };
        self.samples.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    }
}

impl Series {
    fn read(text: &str) -> Self {
        let Some((name, rest)) = text.split_once('{') else {
            return Self { name: text.to_owned(), labels: BTreeMap::new() };
        };
        let pairs = rest.strip_suffix("\"}").unwrap().split("\",");
        let labels = pairs.map(|pair| {
            let (key, value) = pair.split_once("=\"").unwrap();
            (key.to_owned(), value.to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect() }
    }
}
