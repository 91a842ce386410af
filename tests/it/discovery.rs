//! Targets from files and DNS, over real files and a real (tiny) server of names.
