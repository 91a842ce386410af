mod config;
mod exposition;
mod rules_files;
