//! Scraping under every fault of transport, over real sockets.
