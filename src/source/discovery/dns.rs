//! Targets from DNS: addresses with a port, or service records, asked for again and again.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use super::{Board, Found};
use crate::source::metrics as names;
use crate::source::scrape::config::DnsName;
use crate::source::scrape::resolve::Resolver;

/// Tells `board` what the name stands for, every `refresh`.
///
/// A look-up that fails, "no such name" included, keeps what is known: a target that vanished is down, and says so.
pub(in crate::source) async fn watch(
    dns: DnsName,
    resolver: Resolver,
    refresh: Duration,
    board: Arc<Board>,
) {
    let mut ticks = interval(refresh);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let answer = match timeout(refresh, resolver.targets(&dns)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("{}: no answer within {refresh:?}", dns.name)),
        };
        let failed = answer.is_err();
        match answer {
            Ok(addresses) => {
                let target = |address| Found {
                    address,
                    labels: Vec::new(),
                };
                board.publish(addresses.into_iter().map(target).collect());
            }
            Err(error) => {
                counter!(names::DISCOVERY_FAILURES, "kind" => "dns").increment(1);
                if !failing {
                    warn!(%error, "look-up failed; the targets known before are kept");
                }
            }
        }
        failing = failed;
    }
}
