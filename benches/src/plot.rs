//! The plot of a run: throughput over time above, a histogram of latencies below.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::{Result, failed};
use crate::measure::Recorder;
use crate::report::Report;

/// Width and height in pixels.
const SIZE: (u32, u32) = (960, 720);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws `report` into an SVG file.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn plot(report: &Report, title: &str, file: &Path) -> Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed("drawing"))?;
    let (above, below) = root.split_vertically(SIZE.1 / 2);
    throughput(report, title, &above)?;
    latency(report, &below)?;
    root.present().map_err(failed("writing the plot"))
}

fn throughput(report: &Report, title: &str, area: &Area<'_>) -> Result<()> {
    let series: Vec<_> = report.lines.iter().map(|line| line.seen.over_time()).collect();
    let points = || series.iter().flatten();
    let end = points().map(|(at, _)| *at).fold(0.1, f64::max);
    let top = points().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(failed("drawing"))?;
    let mesh = &mut chart.configure_mesh();
    let mesh = mesh.x_desc("seconds").y_desc("operations a second");
    mesh.y_label_formatter(&|rate| short(*rate)).draw().map_err(failed("drawing"))?;
    for (number, (line, points)) in report.lines.iter().zip(series).enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let drawn =
            chart.draw_series(LineSeries::new(points, colour)).map_err(failed("drawing"))?;
        drawn
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
    }
    let labels = &mut chart.configure_series_labels();
    labels.border_style(BLACK).background_style(WHITE).draw().map_err(failed("drawing"))
}

fn latency(report: &Report, area: &Area<'_>) -> Result<()> {
    let series: Vec<_> = report.lines.iter().map(|line| shares(&line.seen)).collect();
    let points = || series.iter().flatten();
    let low = points().map(|(at, _)| *at).fold(f64::MAX, f64::min).clamp(0.01, 1e6);
    let high = points().map(|(at, _)| *at).fold(1.0, f64::max).max(low * 10.0);
    let top = points().map(|(_, share)| *share).fold(1.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d((low..high).log_scale(), 0.0..top)
        .map_err(failed("drawing"))?;
    let mesh = &mut chart.configure_mesh();
    let mesh = mesh.x_desc("latency, microseconds").y_desc("% of operations");
    let mesh = mesh.x_label_formatter(&|micros| short(*micros));
    mesh.y_label_formatter(&|share| format!("{share:.0}")).draw().map_err(failed("drawing"))?;
    for (number, points) in series.into_iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let series = LineSeries::new(points, colour.stroke_width(2));
        chart.draw_series(series).map_err(failed("drawing"))?;
    }
    Ok(())
}

/// A number for an axis: `2.5 M`.
fn short(number: f64) -> String {
    match number {
        1e6.. => format!("{} M", number / 1e6),
        1e3.. => format!("{} k", number / 1e3),
        _ => number.to_string(),
    }
}

/// Percent of the operations by latency: eight columns for each doubling.
fn shares(seen: &Recorder) -> Vec<(f64, f64)> {
    let all = seen.latency.len().max(1) as f64;
    let steps = seen.latency.iter_log(1, 2.0_f64.powf(0.125));
    let steps = steps.filter(|step| step.count_since_last_iteration() > 0);
    steps
        .map(|step| {
            let micros = step.value_iterated_to() as f64 / 1e3;
            (micros, step.count_since_last_iteration() as f64 * 100.0 / all)
        })
        .collect()
}
