//! What signals read of a recording where a range holds hardly a scrape: never a calm that nobody saw.

use gated::run::backtest::Outcome;

use super::fleet::{Story, Weather};
use super::kinds::ordinary;
use super::luck::Luck;
use super::packed::Packed;
use super::{examples_judge, played, recording_for};

/// What `error_rate` gave while a fifth of the requests failed: how often there was a value, the lowest, and how often it
/// was thin.
fn error_rate(story: &Story) -> (u64, f64, u64) {
    let judge = examples_judge().told(true, None);
    let mut recording = recording_for(&judge);
    let mut luck = Luck::new(7);
    let series = story.record(&mut luck);
    Packed::Pushed.unpack(&series, &mut luck, &mut recording);
    let Outcome { signals, .. } = played(&judge, &recording, &[]);
    let it = signals.iter().find(|it| it.name == "error_rate").unwrap();
    let thin = it.missing.get("thin").copied().unwrap_or_default();
    (it.known, it.lowest, thin)
}

fn failing(interval: f64) -> Story {
    let mut story = ordinary(interval, 4);
    story.meets = Box::new(|_| Weather {
        load: 1.0,
        errors: 0.2,
        slower: 1.0,
    });
    story
}

/// `rate(…[15s])` over samples 15 s apart is empty, and `empty = 0` would call that no errors.
#[test]
fn a_range_that_holds_one_scrape_of_each_target_is_thin_and_not_calm() {
    let (known, _, thin) = error_rate(&failing(15.0));
    assert_eq!(known, 0);
    assert!(thin > 50, "{thin}");
}

/// Half of the targets do not answer; when their scrapes fail the others have one scrape in the range, at times.
#[test]
fn a_failed_scrape_at_a_moment_when_nobody_shows_two_reads_no_calm() {
    let mut story = failing(10.0);
    story.together = true;
    // The others are scraped 7 s later.
    story.late = Box::new(|place| if place < 2 { 7.0 } else { 0.0 });
    story.unreachable = Box::new(|spot| spot.place < 2 && spot.t > -60.0);
    let (known, lowest, thin) = error_rate(&story);
    assert!(
        known > 20 && lowest > 0.1 && thin > 20,
        "{known} {lowest} {thin}"
    );
}
