//! The page of metrics that the service shows, compared with the rules that were chosen. Deliberately absent: any failure;
//! a service that is not up yet is no fault of a configuration.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::ACCEPT;

use crate::run::at_hand::read_page;
use crate::run::check::format_of;
use crate::run::config::environment;
use crate::runbook::Known;
use crate::runbook::Source;
use crate::runbook::load_knowing;
use crate::sink::SecretUrl;

const TIMEOUT: Duration = Duration::from_secs(5);
/// As a scrape takes by default.
const PAGE_BYTES_MAX: usize = 64 << 20;

/// What of the rules is not on the page, with similar names; or why there was no page.
pub async fn compared(metrics: &str, rules: &Source) -> String {
    let page = match fetched(metrics).await {
        Ok(page) => page,
        Err(why) => {
            return format!("\nThe metrics were not looked at: {why}. `gated --dry-run` will.\n");
        }
    };
    let page = match read_page(&page, format_of(&page)) {
        Ok(page) => page,
        Err(error) => {
            return format!(
                "\nWhat --metrics answers is no page of metrics: {error}. `gated check metrics` shows every fault.\n"
            );
        }
    };
    let known = Known {
        page: Some(&page),
        ..Known::default()
    };
    let files = std::slice::from_ref(rules);
    let Ok((_, lints)) = load_knowing(files, &environment, &known) else {
        // It was read a moment ago.
        return String::new();
    };
    let of_page = lints
        .faults
        .iter()
        .filter(|it| it.message.contains("on the page"));
    let said: BTreeSet<(&str, &str)> = of_page
        .map(|it| (it.message.as_str(), it.help.as_str()))
        .collect();
    if said.is_empty() {
        return "\nThe page has every metric that the rules read.\n".to_owned();
    }
    let mut text = format!(
        "\nSome of what the rules read is missing; write what the service has into {}:\n",
        rules.path
    );
    for (message, help) in said {
        let _ = match help {
            "" => writeln!(text, "  {message}"),
            help => writeln!(text, "  {message}; {help}"),
        };
    }
    text
}

async fn fetched(metrics: &str) -> Result<Vec<u8>, String> {
    let url = SecretUrl::parse(metrics).ok_or("--metrics is no URL")?;
    let client = Client::builder()
        .user_agent(concat!("gated/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .build();
    let client = client.map_err(|error| crate::run::chain(&error))?;
    let asked = client
        .get(url.expose().clone())
        .header(ACCEPT, "text/plain;version=0.0.4");
    let answer = asked.send().await;
    let unanswered = |error: reqwest::Error| {
        format!(
            "{url} gave no answer ({})",
            crate::run::chain(&error.without_url())
        )
    };
    let mut answer = answer.map_err(unanswered)?;
    if !answer.status().is_success() {
        return Err(format!("{url} answered {}", answer.status().as_u16()));
    }
    let mut page = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
        if page.len() + chunk.len() > PAGE_BYTES_MAX {
            return Err(format!("{url} sends more than 64 MiB"));
        }
        page.extend(chunk);
    }
    Ok(page)
}
