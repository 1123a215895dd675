//! Charts as SVG, made on the server. Colours are marks that the style sheet replaces, so that a chart follows light and dark; each
//! chart is drawn twice, for a desk and for a phone, so that its text keeps its size, and the style sheet shows one of them. The figures
//! themselves stand in a table beside it, for whoever cannot see it.

use std::fmt::Display;

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use schemas::money::Nanocredits;

use super::show;

const BAR: RGBColor = RGBColor(0, 0, 1);
const TRACK: RGBColor = RGBColor(0, 0, 2);
const GRID: RGBColor = RGBColor(0, 0, 3);
const MUTED: RGBColor = RGBColor(0, 0, 4);
const STRONG: RGBColor = RGBColor(0, 0, 5);
const FONT: &str = "sans-serif";
/// Nanocredits: a hundred million credits. What is above it is drawn as high; axes are computed with a few times as much.
const HIGHEST: i64 = 100_000_000_000_000_000;

/// How a chart is shown.
struct Form {
    class: &'static str,
    width: u32,
    /// Labels that fit below the columns.
    labels: usize,
}

/// Columns take the width of a page, or of a phone.
const OF_COLUMNS: [Form; 2] =
    [Form { class: "wide", width: 1040, labels: 10 }, Form { class: "narrow", width: 340, labels: 4 }];
/// Bars stand side by side on a desk.
const OF_BARS: [Form; 2] =
    [Form { class: "wide", width: 490, labels: 0 }, Form { class: "narrow", width: 330, labels: 0 }];
/// The backend takes a font's height for its size, which is less.
const TEXT: u32 = 16;

/// What a chart shows, in words.
pub(super) struct Words<'a> {
    /// Told apart from other charts of the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

/// A column for each label, in order.
pub(super) fn columns(words: &Words<'_>, columns: &[(String, Nanocredits)]) -> Markup {
    both(words, &OF_COLUMNS, |form| draw_columns(form, columns).map_err(|error| error.to_string()))
}

/// A bar for each name, the longest first.
pub(super) fn bars(words: &Words<'_>, bars: &[(String, Nanocredits)]) -> Markup {
    both(words, &OF_BARS, |form| draw_bars(form, bars).map_err(|error| error.to_string()))
}

fn both(words: &Words<'_>, forms: &[Form], draw: impl Fn(&Form) -> Result<String, String>) -> Markup {
    html! {
        @for form in forms {
            @match draw(form) {
                Ok(svg) => { (PreEscaped(described(form, words, &svg))) },
                // The table says the same.
                Err(error) => { (undrawn(&error)) },
            }
        }
    }
}

fn undrawn(error: &str) -> Markup {
    tracing::error!(error, "console.chart");
    html! {}
}

/// The picture with a name and a description, sized by the style sheet.
fn described(form: &Form, words: &Words<'_>, svg: &str) -> String {
    let id = format!("{}-{}", words.id, form.class);
    let content = svg.split_once('>').map_or("", |(_, content)| content);
    let height = svg.split("height=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("1");
    let open = html! {
        title id={ (id) "-title" } { (words.title) }
        desc id={ (id) "-desc" } { (words.description) }
    };
    format!(
        "<svg class=\"chart {}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" viewBox=\"0 0 {} {height}\">{}{content}",
        form.class,
        form.width,
        open.into_string()
    )
}

type Drawn<'a> = Result<String, DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn text(color: &'static RGBColor, at: HPos) -> TextStyle<'static> {
    TextStyle::from((FONT, TEXT).into_font()).color(color).pos(Pos::new(at, VPos::Center))
}

fn draw_columns(form: &Form, columns: &[(String, Nanocredits)]) -> Drawn<'static> {
    const HEIGHT: u32 = 220;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (form.width, HEIGHT)).into_drawing_area();
        let count = i32::try_from(columns.len()).unwrap_or(i32::MAX).max(1);
        let height = |amount: &Nanocredits| amount.get().clamp(0, HIGHEST);
        let top = columns.iter().map(|(_, amount)| height(amount)).max().unwrap_or(0).max(1);
        // Room above the highest column, so that its grid line is seen.
        let top = top.saturating_add(top / 12).max(10);
        let mut chart = ChartBuilder::on(&area)
            .margin_top(10)
            .margin_right(4)
            .x_label_area_size(30)
            .y_label_area_size(58)
            .build_cartesian_2d((0..count - 1).into_segmented(), 0..top)?;
        let label = |at: &SegmentValue<i32>| match at {
            SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => usize::try_from(*index)
                .ok()
                .and_then(|index| columns.get(index))
                .map_or("", |(label, _)| label)
                .to_owned(),
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(TRANSPARENT)
            .set_all_tick_mark_size(7)
            .x_labels(form.labels)
            .y_labels(6)
            .x_label_formatter(&label)
            .y_label_formatter(&|amount| short(*amount))
            .x_label_style(TextStyle::from((FONT, TEXT).into_font()).color(&MUTED))
            .y_label_style(TextStyle::from((FONT, TEXT).into_font()).color(&MUTED))
            .draw()?;
        let gap = form.width / u32::try_from(columns.len()).unwrap_or(1).max(1) / 7;
        chart.draw_series((0..count).zip(columns).filter(|(_, (_, amount))| height(amount) > 0).map(
            |(index, (_, amount))| {
                let corners = [(SegmentValue::Exact(index), 0), (SegmentValue::Exact(index + 1), height(amount))];
                let mut column = Rectangle::new(corners, BAR.filled());
                column.set_margin(0, 0, gap, gap);
                column
            },
        ))?;
        area.present()?;
    }
    Ok(svg)
}

fn draw_bars(form: &Form, bars: &[(String, Nanocredits)]) -> Drawn<'static> {
    const ROW: i32 = 44;
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX).clamp(1, 100);
    let width = i32::try_from(form.width).unwrap_or(960);
    let most = bars.iter().map(|(_, amount)| amount.get()).max().unwrap_or(0).max(1);
    let mut svg = String::new();
    {
        let size = (form.width, u32::try_from(rows * ROW).unwrap_or(1));
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        for (row, (name, amount)) in (0..rows).zip(bars) {
            let y = row * ROW;
            let filled = i128::from(amount.get()) * i128::from(width) / i128::from(most);
            let filled = i32::try_from(filled).unwrap_or(width).clamp(2, width);
            area.draw(&Text::new(cut(name, form.width), (0, y + 13), text(&STRONG, HPos::Left)))?;
            area.draw(&Text::new(show::rounded(*amount, 2), (width, y + 13), text(&STRONG, HPos::Right)))?;
            area.draw(&Rectangle::new([(0, y + 26), (width, y + 34)], TRACK.filled()))?;
            area.draw(&Rectangle::new([(0, y + 26), (filled, y + 34)], BAR.filled()))?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// A name that leaves room for its amount.
fn cut(name: &str, width: u32) -> String {
    let most = usize::try_from(width / 9).unwrap_or(40);
    match name.chars().count() > most {
        true => name.chars().take(most - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// An amount on an axis: whole steps are whole, small ones have the places that they need.
fn short(nanocredits: i64) -> String {
    let amount = Nanocredits::new(nanocredits);
    let parts = [(1_000_000_000_000_000, "M"), (1_000_000_000_000, "k")];
    for (size, unit) in parts {
        if nanocredits >= size && nanocredits % (size / 10) == 0 {
            return tenths(nanocredits / (size / 10), unit);
        }
    }
    show::exact(amount)
}

fn tenths(tenths: i64, unit: impl Display) -> String {
    match tenths % 10 {
        0 => format!("{}{unit}", tenths / 10),
        rest => format!("{}.{rest}{unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(chart: Markup) -> String {
        chart.into_string()
    }

    #[test]
    fn a_chart_has_a_name_and_a_description_and_nothing_of_a_name_is_markup() {
        let words = Words { id: "m", title: "<script>alert(1)</script>", description: "a & b" };
        let evil =
            vec![("<script>alert(2)</script>".to_owned(), Nanocredits::new(7)), ("b".to_owned(), Nanocredits::ZERO)];
        for svg in [drawn(bars(&words, &evil)), drawn(columns(&words, &evil))] {
            assert!(!svg.contains("<script") && !svg.contains("style="), "{svg}");
            assert!(svg.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && svg.contains("a &amp; b"), "{svg}");
            assert_eq!(svg.matches("<svg ").count(), 2);
            assert_eq!(svg.matches("</svg>").count(), 2);
            for class in ["wide", "narrow"] {
                assert!(svg.contains(&format!("aria-labelledby=\"m-{class}-title m-{class}-desc\"")), "{svg}");
            }
        }
    }

    #[test]
    fn any_amounts_can_be_drawn() {
        let words = Words { id: "m", title: "t", description: "d" };
        for amounts in [vec![], vec![0], vec![i64::MAX, i64::MAX], vec![1; 400], vec![-5, 3]] {
            let rows: Vec<_> = amounts.iter().map(|amount| (String::new(), Nanocredits::new(*amount))).collect();
            assert_eq!(drawn(bars(&words, &rows)).matches("</svg>").count(), 2, "{amounts:?}");
            assert_eq!(drawn(columns(&words, &rows)).matches("</svg>").count(), 2, "{amounts:?}");
        }
    }

    #[test]
    fn axes_are_short() {
        let shown = [0, 500_000_000, 20_000_000_000, 1_500_000_000_000, 2_000_000_000_000_000].map(short);
        assert_eq!(shown, ["0", "0.5", "20", "1.5k", "2M"]);
    }
}
