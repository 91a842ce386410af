
mod exposition;
