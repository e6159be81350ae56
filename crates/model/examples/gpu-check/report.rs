//! What was found: one [`Check`] a line, all of them in one [`Report`].
//!
//! `docs/measured/gpu-check.schema.json` describes the report; a test holds one against it.

use std::{fmt::Display, time::Duration};

use serde_json::{Map, Value, json};

use crate::{Cli, card};

/// One finding with its figures. A figure's name ends in its unit.
#[derive(Debug)]
pub struct Check {
    group: &'static str,
    name: String,
    status: &'static str,
    reason: Option<String>,
    figures: Map<String, Value>,
}

impl Check {
    pub fn new(group: &'static str, name: impl Into<String>) -> Self {
        Self { group, name: name.into(), status: "passed", reason: None, figures: Map::new() }
    }

    /// Add a figure.
    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// It ran and is wrong.
    pub fn failed(mut self, reason: impl Display) -> Self {
        (self.status, self.reason) = ("failed", Some(reason.to_string()));
        self
    }

    /// It could not run.
    pub fn skipped(mut self, reason: impl Display) -> Self {
        (self.status, self.reason) = ("skipped", Some(reason.to_string()));
        self
    }

    /// Failed if `wrong`.
    pub fn unless(self, wrong: bool, reason: impl Display) -> Self {
        if wrong { self.failed(reason) } else { self }
    }

    pub fn value(self) -> Value {
        json!({ "group": self.group, "name": self.name, "status": self.status, "reason": self.reason, "figures": self.figures })
    }

    /// As a line for the process that asked.
    pub fn print(self) {
        println!("{}", self.value());
    }
}

/// A number that JSON can hold, to four digits: more than that no two runs have in common.
pub fn rounded(x: f64) -> Value {
    if x == 0.0 || !x.is_finite() {
        return json!(if x.is_finite() { Some(x) } else { None });
    }
    let scale = 10f64.powi(3 - x.abs().log10().floor() as i32);
    json!((x * scale).round() / scale)
}

/// Everything.
#[derive(Debug)]
pub struct Report {
    value: Value,
    checks: Vec<Value>,
}

impl Report {
    pub fn new(cli: &Cli) -> Self {
        let cuda = cli.device != "cpu";
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let value = json!({
            "version": 1,
            "date": date(),
            "commit": cli.commit,
            "command": format!("gpu-check {}", arguments.join(" ")),
            "device": cli.device,
            "card": if cuda { card::card() } else { Value::Null },
            "processor": card::processor(),
            "threads": cli.threads,
            "libtorch": "2.11.0",
        });
        Self { value, checks: Vec::new() }
    }

    pub fn heading(&self) -> String {
        let text = |key: &str| self.value[key].as_str().unwrap_or("unknown").to_owned();
        let card = self.value["card"]["name"].as_str().map(|c| format!(" ({c})")).unwrap_or_default();
        format!(
            "gpu-check of {}, commit {}, on {}{card}, {} threads of {}",
            text("date"),
            text("commit"),
            text("device"),
            self.value["threads"],
            text("processor")
        )
    }

    pub fn add(&mut self, mut check: Value, group: &str, quiet: bool) {
        // A process that fell does not say which group it was.
        if check["group"] == "process" {
            check["group"] = group.into();
        }
        if !quiet {
            println!("{}", line(&check));
        }
        self.checks.push(check);
    }

    fn count(&self, status: &str) -> usize {
        self.checks.iter().filter(|c| c["status"] == status).count()
    }

    pub fn failed(&self) -> usize {
        self.count("failed")
    }

    pub fn finish(&mut self, took: Duration) {
        self.value["seconds"] = rounded(took.as_secs_f64());
        for status in ["passed", "failed", "skipped"] {
            self.value[status] = self.count(status).into();
        }
        self.value["checks"] = self.checks.clone().into();
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped in {} s",
            self.count("passed"),
            self.count("failed"),
            self.count("skipped"),
            self.value["seconds"]
        )
    }
}

fn line(check: &Value) -> String {
    let figures: Vec<String> = check["figures"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        })
        .collect();
    let reason = check["reason"].as_str().map(|r| format!("  -- {r}")).unwrap_or_default();
    let text = |key: &str| check[key].as_str().unwrap_or_default();
    format!("{:<8}{:<10} {:<44} {}{reason}", text("status"), text("group"), text("name"), figures.join(", "))
}

/// Today as YYYY-MM-DD, in UTC.
fn date() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Days to a civil date (Howard Hinnant's algorithm).
    let z = (now.as_secs() / 86_400) as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
