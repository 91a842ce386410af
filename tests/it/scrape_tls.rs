//! TLS faults, each named, and client certificates.
