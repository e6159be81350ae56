//! The loss curve as an SVG.

use plotters::prelude::*;

/// A curve through `(step, loss)` points; those that are not finite are left out.
///
/// # Errors
/// What the drawing library says.
pub fn loss_curve_svg(points: &[(f64, f64)], title: &str) -> Result<String, String> {
    let mut svg = String::new();
    // A diverged run has points that no axis holds; what can be drawn is drawn.
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
    let most = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).fold(f64::NEG_INFINITY, f64::max);
    let (right, top) = (most(|p| p.0).max(1.0), most(|p| p.1).max(0.1));
    let bottom = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min).clamp(0.0, top);
    let margin = (top - bottom).max(0.1) * 0.08;
    {
        let root = SVGBackend::with_string(&mut svg, (860, 480)).into_drawing_area();
        let text = |e: &dyn std::fmt::Display| e.to_string();
        root.fill(&WHITE).map_err(|e| text(&e))?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..right, (bottom - margin).max(0.0)..top + margin)
            .map_err(|e| text(&e))?;
        chart
            .configure_mesh()
            .x_desc("optimiser step")
            .y_desc("loss, nats per token")
            .light_line_style(RGBColor(235, 235, 235))
            .label_style(("sans-serif", 13))
            .draw()
            .map_err(|e| text(&e))?;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), RGBColor(25, 90, 160).stroke_width(2)))
            .map_err(|e| text(&e))?;
        root.present().map_err(|e| text(&e))?;
    }
    Ok(svg)
}
