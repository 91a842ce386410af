//! Where inputs come from: scraping, exposition text, discovery.

pub mod exposition;
