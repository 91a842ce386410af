//! Values that are never printed: `Debug` and `Display` show that there is one, for URLs also where it leads.

use std::fmt;

use reqwest::Url;
use ring::digest;

/// A value that only [`Secret::expose`] gives away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A URL that is a secret whole, since chat services put the key into its path. Shown as scheme, host and a
/// fingerprint by which two of them can be told apart: `https://hooks.example.com (3f9a)`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// `None` unless it is an absolute http or https URL.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text.trim()).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(url))
    }

    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// With `path` (percent-encoded, from its slash on) after its own.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        if !path.is_empty() {
            let whole = format!("{}{path}", self.0.path().trim_end_matches('/'));
            self.0.set_path(&whole);
        }
        self
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = digest::digest(&digest::SHA256, self.0.as_str().as_bytes());
        let [first, second, ..] = *hash.as_ref() else {
            return Ok(());
        };
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or("")
        )?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        write!(f, " ({first:02x}{second:02x})")
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_where_and_which_but_not_what() {
        let show = |text: &str| SecretUrl::parse(text).unwrap().to_string();
        let one = show("https://user:CANARY@hooks.example.com/services/CANARY?key=CANARY");
        assert!(one.starts_with("https://hooks.example.com ("), "{one}");
        assert!(!one.contains("CANARY"));
        assert_ne!(one, show("https://hooks.example.com/services/OTHER"));
        assert!(show("http://127.0.0.1:9/x").starts_with("http://127.0.0.1:9 ("));
        for bad in [
            "",
            "hooks.example.com",
            "/x",
            "file:///etc/passwd",
            "http://",
        ] {
            assert!(SecretUrl::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{:?}", Secret::new("CANARY")), "[secret]");
    }
}
