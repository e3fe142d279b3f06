//! The plot of a run: throughput over time above, a histogram of latencies below.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::error::{Result, failed};
use crate::measure::Recorder;
use crate::report::Report;

/// Width and height in pixels.
const SIZE: (u32, u32) = (960, 720);

/// The strip above both charts: the title, and which system has which colour.
const HEAD: i32 = 64;

/// Colours that are told apart on white, also by who sees no red or green.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 181),
    RGBColor(217, 95, 2),
    RGBColor(0, 130, 90),
    RGBColor(170, 51, 119),
    RGBColor(102, 102, 102),
    RGBColor(140, 110, 0),
];

/// Grid lines and axes: there, and no more than that.
const GRID: RGBColor = RGBColor(225, 228, 232);
const AXIS: RGBColor = RGBColor(120, 126, 134);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Points = Vec<(f64, f64)>;

/// Draws `report` into an SVG file.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn plot(report: &Report, title: &str, file: &Path) -> Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed("drawing"))?;
    let (above, below) = root.split_vertically((SIZE.1 as i32 + HEAD) / 2);
    let (head, above) = above.split_vertically(HEAD);
    legend(report, title, &head)?;
    throughput(report, &above)?;
    latency(report, &below)?;
    let named = |error| format!("{}: {error}", file.display());
    root.present().map_err(named).map_err(failed("writing the plot"))
}

fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

/// The title, and the systems' names beside their colours.
fn legend(report: &Report, title: &str, area: &Area<'_>) -> Result<()> {
    let text = |text: &str, at, size: i32| {
        area.draw(&Text::new(text.to_owned(), at, ("sans-serif", size).into_font().color(&BLACK)))
    };
    text(title, (20, 12), 20).map_err(failed("drawing"))?;
    let mut left = 20;
    for (number, line) in report.lines.iter().enumerate() {
        let mark = Rectangle::new([(left, 45), (left + 18, 50)], colour(number).filled());
        area.draw(&mark).map_err(failed("drawing"))?;
        text(&line.name, (left + 24, 40), 14).map_err(failed("drawing"))?;
        left += 24 + 8 * line.name.len() as i32 + 24;
    }
    Ok(())
}

fn throughput(report: &Report, area: &Area<'_>) -> Result<()> {
    let series: Vec<Points> = report.lines.iter().map(|line| line.seen.over_time()).collect();
    let points = || series.iter().flatten();
    let end = points().map(|(at, _)| *at).fold(0.1, f64::max);
    let top = points().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.05;
    chart(
        area,
        0.0..end,
        0.0..top,
        series,
        Axes {
            across: "seconds",
            up: "operations a second",
            format_across: &trimmed,
            format_up: &short,
        },
    )
}

fn latency(report: &Report, area: &Area<'_>) -> Result<()> {
    let series: Vec<Points> = report.lines.iter().map(|line| shares(&line.seen)).collect();
    let points = || series.iter().flatten();
    let low = points().map(|(at, _)| *at).fold(f64::MAX, f64::min).clamp(0.01, 1e6);
    let high = points().map(|(at, _)| *at).fold(1.0, f64::max).max(low * 10.0);
    let top = points().map(|(_, share)| *share).fold(1.0, f64::max) * 1.05;
    chart(
        area,
        (low..high).log_scale(),
        0.0..top,
        series,
        Axes {
            across: "latency",
            up: "% of operations",
            format_across: &time,
            format_up: &trimmed,
        },
    )
}

/// What stands beside a chart.
struct Axes<'a> {
    across: &'a str,
    up: &'a str,
    format_across: &'a dyn Fn(f64) -> String,
    format_up: &'a dyn Fn(f64) -> String,
}

fn chart<X>(
    area: &Area<'_>,
    across: X,
    up: std::ops::Range<f64>,
    series: Vec<Points>,
    axes: Axes<'_>,
) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(across, up)
        .map_err(failed("drawing"))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(AXIS)
        .x_desc(axes.across)
        .y_desc(axes.up)
        .y_labels(6)
        .x_label_formatter(&|at| (axes.format_across)(*at))
        .y_label_formatter(&|at| (axes.format_up)(*at))
        .draw()
        .map_err(failed("drawing"))?;
    // The first system last: its line lies above those that it is compared with.
    for (number, points) in series.into_iter().enumerate().rev() {
        let line = LineSeries::new(points, colour(number).stroke_width(2));
        chart.draw_series(line).map_err(failed("drawing"))?;
    }
    Ok(())
}

/// A count for an axis: `2.5 M`.
fn short(number: f64) -> String {
    match number {
        1e6.. => format!("{} M", trimmed(number / 1e6)),
        1e3.. => format!("{} k", trimmed(number / 1e3)),
        _ => trimmed(number),
    }
}

/// A time in microseconds for an axis: `10 ms`.
fn time(micros: f64) -> String {
    match micros {
        1e6.. => format!("{} s", trimmed(micros / 1e6)),
        1e3.. => format!("{} ms", trimmed(micros / 1e3)),
        1.0.. => format!("{} \u{b5}s", trimmed(micros)),
        _ => format!("{} ns", trimmed(micros * 1e3)),
    }
}

/// A number with no more than two places behind the point.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Percent of the operations by latency: eight columns for each doubling, from an empty one before
/// the first to an empty one behind the last.
fn shares(seen: &Recorder) -> Points {
    let all = seen.latency.len().max(1) as f64;
    let mut points: Points = seen
        .latency
        .iter_log(1, 2.0_f64.powf(0.125))
        .map(|step| {
            let micros = step.value_iterated_to() as f64 / 1e3;
            (micros, step.count_since_last_iteration() as f64 * 100.0 / all)
        })
        .collect();
    let Some(first) = points.iter().position(|(_, share)| *share > 0.0) else { return Vec::new() };
    points.drain(..first.saturating_sub(1));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_short_labels() {
        for (number, count, latency) in [
            (0.25, "0.25", "250 ns"),
            (10.0, "10", "10 \u{b5}s"),
            (10_000.0, "10 k", "10 ms"),
            (300_000.0 * 3.0, "900 k", "900 ms"),
            (1_234_567.0, "1.23 M", "1.23 s"),
        ] {
            assert_eq!((short(number), time(number)), (count.to_owned(), latency.to_owned()));
        }
    }
}
