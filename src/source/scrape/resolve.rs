//! Names → addresses, without a blocking thread: a slow server of names delays nobody but who asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::ProtoErrorKind;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::xfer::Protocol;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::warn;

use super::config::{DnsKind, DnsName};

/// Answers are asked for again after this long, whatever lifetime they claim: a rotation is followed.
const POSITIVE_TTL_MAX: Duration = Duration::from_secs(30);
/// A name that appears is seen within this.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(2);
const CACHED_NAMES_MAX: usize = 4096;

/// Asks the servers it was given, else the system's. Look-ups under way are bounded by the scrapes under way.
#[derive(Clone, Debug)]
pub(in crate::source) struct Resolver(Arc<TokioResolver>);

#[derive(Debug, thiserror::Error)]
#[error("{name}: {cause}")]
pub(in crate::source) struct LookupFailed {
    name: String,
    cause: String,
    /// The servers answered, and know no address.
    answer: bool,
}

impl LookupFailed {
    fn new(name: &str, cause: &hickory_resolver::ResolveError) -> Self {
        // A server that fails or refuses has no records either, by this crate's word, and knows nothing of the name.
        let kind = cause.proto().map(hickory_resolver::proto::ProtoError::kind);
        let answer = matches!(
            kind,
            Some(ProtoErrorKind::NoRecordsFound {
                response_code: ResponseCode::NXDomain | ResponseCode::NoError,
                ..
            })
        );
        let cause = if cause.is_nx_domain() {
            "there is no such name".to_owned()
        } else if cause.is_no_records_found() {
            "the name has no such records".to_owned()
        } else {
            cause.to_string()
        };
        Self {
            name: name.to_owned(),
            cause,
            answer,
        }
    }

    pub(in crate::source) const fn is_answer(&self) -> bool {
        self.answer
    }
}

impl Resolver {
    pub(in crate::source) fn new(servers: &[SocketAddr]) -> Self {
        let provider = TokioConnectionProvider::default();
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                warn!(%error, "the system's servers of names are unknown; only its hosts file is used");
                TokioResolver::builder_with_config(ResolverConfig::new(), provider)
            })
        } else {
            let mut config = ResolverConfig::new();
            for &server in servers {
                config.add_name_server(NameServerConfig::new(server, Protocol::Udp));
                config.add_name_server(NameServerConfig::new(server, Protocol::Tcp));
            }
            TokioResolver::builder_with_config(config, provider)
        };
        let options = builder.options_mut();
        options.cache_size = CACHED_NAMES_MAX;
        options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        Self(Arc::new(builder.build()))
    }

    pub(in crate::source) async fn addresses(
        &self,
        name: &str,
    ) -> Result<Vec<IpAddr>, LookupFailed> {
        let found = self.0.lookup_ip(name).await;
        found
            .map(|found| found.iter().collect())
            .map_err(|cause| LookupFailed::new(name, &cause))
    }

    /// The addresses of the fourth version and, where asked for or where there are none, those of the sixth.
    pub(in crate::source) async fn answers(
        &self,
        name: &str,
        sixth: bool,
    ) -> Result<Vec<IpAddr>, LookupFailed> {
        let mut found = self.addresses(name).await?;
        if sixth && !found.iter().any(IpAddr::is_ipv6) {
            match self.0.ipv6_lookup(name).await {
                Ok(more) => found.extend(more.iter().map(|it| IpAddr::V6(it.0))),
                Err(cause) => {
                    let failed = LookupFailed::new(name, &cause);
                    if !failed.is_answer() {
                        return Err(failed);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Hosts with ports, as `host:port`, sorted.
    pub(in crate::source) async fn targets(
        &self,
        dns: &DnsName,
    ) -> Result<Vec<String>, LookupFailed> {
        let name = dns.name.as_str();
        let found = match dns.kind {
            DnsKind::A { port } => self.0.ipv4_lookup(name).await.map(|found| {
                let socket = |address: &_| format!("{address}:{port}");
                found.iter().map(socket).collect()
            }),
            DnsKind::Aaaa { port } => self.0.ipv6_lookup(name).await.map(|found| {
                let socket = |address: &_| format!("[{address}]:{port}");
                found.iter().map(socket).collect()
            }),
            DnsKind::Srv => self.0.srv_lookup(name).await.map(|found| {
                let socket = |record: &hickory_resolver::proto::rr::rdata::SRV| {
                    let host = record.target().to_utf8();
                    format!("{}:{}", host.trim_end_matches('.'), record.port())
                };
                found.iter().map(socket).collect()
            }),
        };
        let mut found: Vec<String> = found.map_err(|cause| LookupFailed::new(name, &cause))?;
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// What a client resolves with: every name, or (under another `server_name`) always the same host.
pub(in crate::source) struct ResolveFor {
    pub(in crate::source) resolver: Resolver,
    pub(in crate::source) host: Option<String>,
}

impl Resolve for ResolveFor {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.resolver.clone();
        let host = self.host.clone();
        Box::pin(async move {
            let host = host.as_deref().unwrap_or(name.as_str());
            let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) => vec![address],
                Err(_) => resolver.addresses(host).await?,
            };
            let found: Addrs =
                Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(found)
        })
    }
}
