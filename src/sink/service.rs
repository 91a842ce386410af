//! What services want of a request besides its body: the token and where it goes. Deliberately absent: sending it.

use std::path::Path;

use bytes::Bytes;
use reqwest::Url;

use super::secret::Secret;
use super::template::Template;

pub(super) fn unread(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}

pub(super) fn unfit(file: &Path) -> String {
    format!(
        "{} does not hold one line of printable text",
        file.display()
    )
}

pub(super) fn token_of(text: &str, file: &Path) -> Result<Secret, String> {
    let token = text.trim();
    let good = !token.is_empty() && !token.chars().any(char::is_control);
    good.then(|| Secret::new(token)).ok_or_else(|| unfit(file))
}

/// Where a service wants the token in the body; everybody else gets it as a header.
pub(super) fn token_field(template: &Template) -> Option<&'static str> {
    match template {
        Template::PagerDuty => Some("routing_key"),
        Template::Gitlab { .. } => Some("token"),
        Template::Generic
        | Template::Slack
        | Template::Teams
        | Template::GithubDispatch { .. }
        | Template::GithubWorkflow { .. }
        | Template::ArgoCd { .. }
        | Template::ArgoRollouts
        | Template::Own(_) => None,
    }
}

/// The JSON object with one more field, as its first: what is stored never holds it.
pub(super) fn with_field(body: &[u8], field: &str, token: &Secret) -> Result<Bytes, String> {
    let rest = body
        .strip_prefix(b"{")
        .ok_or("the stored body is no JSON object")?;
    let token = serde_json::to_string(token.expose()).expect("a string is JSON");
    let comma = if rest.trim_ascii_start().starts_with(b"}") {
        ""
    } else {
        ","
    };
    let mut whole = format!("{{\"{field}\":{token}{comma}").into_bytes();
    whole.extend_from_slice(rest);
    Ok(whole.into())
}

/// The resource of which `url` is the status.
pub(super) fn whole_resource(template: &Template, url: &Url) -> Option<Url> {
    let Template::ArgoRollouts = template else {
        return None;
    };
    let mut whole = url.clone();
    whole.set_path(url.path().strip_suffix("/status")?);
    Some(whole)
}
