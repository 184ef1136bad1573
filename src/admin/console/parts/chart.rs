//! Charts, drawn as SVG and HTML without a script: bars over time, shares of a whole, and how full something is. Each says in
//! words what it shows, and the bars come as a table, too.

use maud::{Markup, html};

use super::badge::Mood;

/// One bar: what was good stands below, what was bad above it.
#[derive(Debug)]
pub(in crate::admin::console) struct Bar {
    /// When, as people read it.
    pub(in crate::admin::console) at: String,
    /// How many were good.
    pub(in crate::admin::console) good: u64,
    /// How many were bad.
    pub(in crate::admin::console) bad: u64,
}

/// The height of the drawing, in its own units. It is stretched to whatever there is room for.
const HEIGHT: f64 = 100.0;

/// The width of a bar and of the gap behind it.
const BAR: f64 = 8.0;
const GAP: f64 = 2.0;

/// Bars over time. `caption` says what they show; `good` and `bad` name their parts.
pub(in crate::admin::console) fn bars(caption: &str, good: &str, bad: &str, all: &[Bar]) -> Markup {
    let most = all.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0);
    let top = rounded_up(most);
    let height = |count: u64| count as f64 / top as f64 * HEIGHT;
    let width = all.len() as f64 * (BAR + GAP) - GAP;
    let tip = |bar: &Bar| format!("{} · {} {good} · {} {bad}", bar.at, bar.good, bar.bad);
    html! {
        figure.chart {
            div.plot {
                div.scale aria-hidden="true" { span { (top) } span { (top / 2) } span { "0" } }
                svg viewBox={"0 0 " (width) " " (HEIGHT)} preserveAspectRatio="none" role="img" aria-label=(caption) {
                    @for y in [0.0, HEIGHT / 2.0, HEIGHT] {
                        line.grid x1="0" x2=(width) y1=(y) y2=(y) {}
                    }
                    @for (at, bar) in all.iter().enumerate() {
                        @let x = at as f64 * (BAR + GAP);
                        @let (low, high) = (height(bar.good), height(bar.good + bar.bad));
                        g data-tip=(tip(bar)) {
                            rect.all x=(x - GAP / 2.0) y="0" width=(BAR + GAP) height=(HEIGHT) {}
                            rect.good x=(x) y=(HEIGHT - low) width=(BAR) height=(low) {}
                            rect.bad x=(x) y=(HEIGHT - high) width=(BAR) height=(high - low) {}
                        }
                    }
                }
                div.ticks aria-hidden="true" {
                    @for bar in all.iter().step_by(15) { span { (bar.at) } }
                    @if let Some(last) = all.last() { span { (last.at) } }
                }
            }
            figcaption {
                span.key.good { (good) }
                span.key.bad { (bad) }
                details {
                    summary { "As a table" }
                    div.table {
                        table {
                            caption.hidden { (caption) }
                            thead { tr { th scope="col" { "Minute" } th.end scope="col" { (good) } th.end scope="col" { (bad) } } }
                            tbody {
                                @for bar in all.iter().rev().filter(|bar| bar.good + bar.bad > 0) {
                                    tr { td { (bar.at) } td.end { (bar.good) } td.end { (bar.bad) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The next number that makes a good scale.
fn rounded_up(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            if most <= step.saturating_mul(factor) {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

/// Parts of a whole, the largest first: a name, how many, and where they are listed.
pub(in crate::admin::console) fn shares(all: &[(String, u64, String)]) -> Markup {
    let most = all.iter().map(|(_, count, _)| *count).max().unwrap_or(0).max(1);
    html! {
        ul.shares {
            @for (name, count, path) in all {
                li {
                    a href=(path) { (name) }
                    span.count { (count) }
                    (meter(*count, most, Mood::Bad, ""))
                }
            }
        }
    }
}

/// How much of something is taken. Nobody who listens needs it: the numbers stand beside it.
pub(in crate::admin::console) fn meter(count: u64, max: u64, mood: Mood, title: &str) -> Markup {
    let share = count.min(max) as f64 / max.max(1) as f64 * 100.0;
    html! {
        svg.meter.(mood.class()) viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" data-tip=[(!title.is_empty()).then_some(title)] {
            rect.all x="0" y="0" width="100" height="4" rx="2" {}
            rect.part x="0" y="0" width=(format!("{share:.1}")) height="4" rx="2" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_with_a_round_number() {
        let tops = [0, 1, 2, 3, 4, 5, 10, 11, 21, 41, 100, 101, 7_000].map(rounded_up);
        assert_eq!(tops, [2, 2, 2, 4, 4, 10, 10, 20, 40, 100, 100, 200, 10_000]);
        assert_eq!(rounded_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_meter_is_never_more_than_full() {
        let drawn = meter(50, 40, Mood::Bad, "").into_string();
        assert!(drawn.contains(r#"width="100.0""#), "{drawn}");
        assert!(meter(0, 0, Mood::Bad, "").into_string().contains(r#"width="0.0""#));
    }
}
