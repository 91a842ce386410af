//! The files that a receiver names: whether they can be read and hold something. What they hold is never shown.

use std::path::Path;

/// Tokens, keys and authorities are far smaller.
const BYTES_MAX: u64 = 1 << 20;

/// The trimmed text, or why there is none and what to do.
pub(in crate::sink) async fn text(key: &str, path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unread = |error: &std::io::Error| {
        format!("{key} {shown} cannot be read: {error}: put it there, readable to gated")
    };
    let meta = tokio::fs::metadata(path).await;
    let meta = meta.map_err(|error| unread(&error))?;
    if !meta.is_file() {
        return Err(format!("{key} {shown} is no file: name another"));
    }
    if meta.len() > BYTES_MAX {
        return Err(format!(
            "{key} {shown} holds {} bytes, which is no secret: name another",
            meta.len()
        ));
    }
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| unread(&error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{key} {shown} holds bytes that are no text: write it again"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{key} {shown} is empty: write what belongs in it"));
    }
    Ok(text.to_owned())
}
