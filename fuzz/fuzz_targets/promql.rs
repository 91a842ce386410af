//! Any text as an expression: parser, planner and an evaluation over a few series neither panic nor hang.
#![no_main]

use std::time::Duration;

use gated::model::{Labels, Slot, TargetId, Timestamp};
use gated::promql::{Expr, Plan, RawRange, pretty, text};
use gated::store::Window;
use libfuzzer_sys::fuzz_target;

fn window() -> Window {
    let mut window = Window::default();
    let target = TargetId(0);
    window.add_target(target, Duration::from_secs(10));
    for (slot, (name, le)) in (0..).zip([("x", ""), ("a", "1"), ("a", "+Inf"), ("target_info", "")]) {
        let labels = Labels::new([("__name__", name), ("le", le), ("job", "j")]);
        window.born(target, Slot(slot), labels, Duration::from_secs(600));
    }
    for scrape in 0..30 {
        let at = Timestamp::from_millis(scrape * 10_000);
        let value = scrape as f64;
        window.append(target, at, &[value, value * 2.0, f64::NAN, 1.0], &[]);
    }
    window
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(expr) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = (text(expr), pretty(expr));
    let window = window();
    let at = Timestamp::from_millis(295_000);
    if let Some(Ok(raw)) = RawRange::parse(expr) {
        let _ = raw.samples(&window, at);
    }
    if let Ok(expr) = Expr::parse(expr) {
        let mut plan = Plan::new(&expr);
        let _ = plan.eval(&window, at);
        let _ = plan.eval(&window, Timestamp::from_millis(305_000));
    }
});
