//! A backtest's outcome as JSON, text, Markdown and a page.

mod json;

pub use json::json;
