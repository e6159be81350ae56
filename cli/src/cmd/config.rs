//! `starling config`: what is set, by whom, and where to set it.

use std::io::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{Flags, config, exit::Usage, output};

/// Networks, endpoints and wallets to choose once instead of with each command.
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every value, and where it came from.
    Show,
    /// Where the file is, or would be.
    Path,
    /// Write a file to begin with; one that is there is left alone.
    Init,
}

impl Config {
    pub fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let env = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        match self.action {
            Action::Show => {
                let (config, _, shown) = flags.explain()?;
                if flags.json {
                    let settings: Vec<_> = shown
                        .iter()
                        .map(|s| json!({ "name": s.name, "value": s.value, "from": s.from.to_string() }))
                        .collect();
                    return output::json(
                        &json!({ "file": config.path, "networks": config.names(), "settings": settings }),
                    );
                }
                let mut table = output::table(&["setting", "value", "from"]);
                for s in &shown {
                    table.add_row([
                        s.name.to_owned(),
                        s.value.clone().unwrap_or_else(|| "-".into()),
                        s.from.to_string(),
                    ]);
                }
                output::line(&table.to_string());
                let file = config
                    .path
                    .as_ref()
                    .map_or("none; `starling config init` writes one".into(), |p| p.display().to_string());
                output::line(&format!("configuration: {file}"));
                output::line(&format!("networks: {}", config.names().join(", ")));
            }
            Action::Path => {
                let (path, _) = config::path(&env)?;
                if flags.json {
                    return output::json(&json!({ "path": path, "exists": path.exists() }));
                }
                output::line(&path.display().to_string());
            }
            Action::Init => {
                let (path, _) = config::path(&env)?;
                let cannot = |error: std::io::Error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => {
                        Usage(format!("{} is there already: it was left alone", path.display())).into()
                    }
                    _ => anyhow::anyhow!("cannot write {}: {error}", path.display()),
                };
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(cannot)?;
                }
                let mut file = std::fs::File::create_new(&path).map_err(cannot)?;
                file.write_all(config::EXAMPLE.as_bytes()).map_err(cannot)?;
                if flags.json {
                    return output::json(&json!({ "path": path }));
                }
                output::line(&path.display().to_string());
            }
        }
        Ok(())
    }
}
