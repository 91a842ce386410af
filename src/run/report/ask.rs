//! `gated report`: asks the daemon; where none answers, the ledger, which is only read.

use std::io::Write as _;

use reqwest::Method;

use super::Context;
use crate::run::cli::Global;
use crate::run::cli::Report as Asked;
use crate::run::cli::ReportFormat;
use crate::run::clock::Clock;
use crate::run::entry::print;
use crate::run::live::Files;
use crate::run::reach::Reach;
use crate::run::remote::RemoteError;

impl Reach {
    pub(in crate::run) async fn report(
        &self,
        asked: &Asked,
        global: &Global,
    ) -> anyhow::Result<()> {
        let format = match asked.format {
            ReportFormat::Markdown => "markdown",
            ReportFormat::Html => "html",
            ReportFormat::Json => "json",
        };
        let request = self
            .daemon
            .request(Method::GET, &["reports", asked.kind.word()]);
        let mut query = vec![("format", format.to_owned())];
        query.extend(asked.date.clone().map(|date| ("date", date)));
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let error = match self.daemon.text(request, &query).await {
            Ok(text) if asked.format == ReportFormat::Json => {
                let body: serde_json::Value = serde_json::from_str(&text)?;
                print(&format!("{:#}\n", body["data"]));
                return Ok(());
            }
            Ok(text) => {
                print(&text);
                return Ok(());
            }
            Err(error) => error,
        };
        if !matches!(error, RemoteError::NoDaemon { .. }) || !self.storage.exists() {
            return Err(error.into());
        }
        let note = format!(
            "no gated answers; from the ledger at {}, without what only a running one sees\n",
            self.storage.display()
        );
        let _ = std::io::stderr().write_all(note.as_bytes());
        let files = Files {
            config: global.config.clone(),
            rules: global.rules.clone(),
            data: global.data.clone(),
        };
        let loaded = files.load(false).map_err(anyhow::Error::msg)?;
        let (config, rules) = (loaded.config, loaded.rules);
        let context = Context { config, rules };
        let now = Clock::start().now();
        let date = context.date(asked.kind, asked.date.as_deref(), now)?;
        let report = context.report(asked.kind, date, now, None)?;
        print(&match asked.format {
            ReportFormat::Markdown => report.markdown(),
            ReportFormat::Html => report.html(),
            ReportFormat::Json => format!("{:#}\n", report.json()),
        });
        Ok(())
    }
}
