fn main() {
    let c = gated::run::cli::Cli::from_process();
    println!("{c:?}");
}
