mod http;
mod show;
