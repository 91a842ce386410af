//! Addresses that no webhook may be sent to, above all those of a cloud's metadata service. Checked where a connection
//! is made: names give only what is allowed, whatever they gave a moment before.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A block of addresses: `169.254.0.0/16`. IPv4-mapped IPv6 addresses count as the IPv4 ones they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// What a webhook may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyList(pub Vec<Cidr>);

/// A connection that is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("{0} is in {1}, which `deny_cidr` forbids")]
    Literal(IpAddr, Cidr),
    #[error("its name resolves to {0} in {1}, which `deny_cidr` forbids")]
    Resolved(IpAddr, Cidr),
}

impl Cidr {
    /// Whether it holds the address.
    pub fn holds(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(it)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == it.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(it)) => {
                let shift = 128 - u32::from(self.bits);
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                net.to_bits() & mask == it.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| ())?)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| ())?;
        let whole = if written.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(whole);
        if bits > whole {
            return Err(());
        }
        let address = written.to_canonical();
        if written.is_ipv6() && address.is_ipv4() {
            // Its first 96 bits say that it is a mapped one.
            let bits = bits.checked_sub(96).ok_or(())?;
            return Ok(Self { address, bits });
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Link-local addresses, and AWS's metadata service over IPv6.
impl Default for DenyList {
    fn default() -> Self {
        let cidr = |address: IpAddr, bits| Cidr { address, bits };
        Self(vec![
            cidr(Ipv4Addr::new(169, 254, 0, 0).into(), 16),
            cidr(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10),
            cidr(
                Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254).into(),
                128,
            ),
        ])
    }
}

impl DenyList {
    fn forbids(&self, address: IpAddr) -> Option<Cidr> {
        self.0.iter().copied().find(|it| it.holds(address))
    }

    /// Whether the URL itself names a forbidden address, in whatever spelling: as a number, octal, mapped.
    pub fn literal(&self, url: &Url) -> Option<Denied> {
        let host = url.host_str()?;
        let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
        let cidr = self.forbids(address)?;
        Some(Denied::Literal(address, cidr))
    }

    /// Answers with what is allowed of what `inner` (else the system) answers.
    pub(super) fn resolver(&self, inner: Option<Arc<dyn Resolve>>) -> Arc<dyn Resolve> {
        Arc::new(Allowed {
            deny: self.clone(),
            inner: inner.unwrap_or_else(|| Arc::new(System)),
        })
    }

    fn allowed(&self, found: Addrs) -> Result<Addrs, Denied> {
        let mut allowed = Vec::new();
        let mut denied = None;
        for address in found {
            match self.forbids(address.ip()) {
                None => allowed.push(address),
                Some(cidr) => denied = Some(Denied::Resolved(address.ip(), cidr)),
            }
        }
        match denied {
            Some(denied) if allowed.is_empty() => Err(denied),
            _ => Ok(Box::new(allowed.into_iter())),
        }
    }
}

struct Allowed {
    deny: DenyList,
    inner: Arc<dyn Resolve>,
}

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let deny = self.deny.clone();
        let found = self.inner.resolve(name);
        Box::pin(async move { Ok(deny.allowed(found.await?)?) })
    }
}

struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's: whoever connects puts it in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_forbidden_in_every_spelling() {
        let deny = DenyList::default();
        let denied = |url: &str| deny.literal(&Url::parse(url).unwrap()).is_some();
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]:80/",
            "http://[fe80::1]/",
            "http://[febf::1]/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(denied(url), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://169.253.0.1/",
            "http://[fec0::1]/",
            "http://[fd00:ec2::253]/",
            "http://metadata/",
        ] {
            assert!(!denied(url), "{url}");
        }
    }

    #[test]
    fn blocks_are_read_and_bad_ones_refused() {
        let holds = |cidr: &str, address: &str| {
            let cidr: Cidr = cidr.parse().unwrap();
            cidr.holds(address.parse().unwrap())
        };
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("10.0.0.1", "10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.255.0.1"));
        assert!(!holds("10.0.0.0/9", "10.128.0.1"));
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "::ffff:1.2.3.4/95",
            "x/8",
        ] {
            assert_eq!(bad.parse::<Cidr>(), Err(()), "{bad}");
        }
    }
}
