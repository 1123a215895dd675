//! How large an image may be at the price of the book.

use schemas::price_book::Model;

use crate::error::Invalid;

/// Sizes of about a megapixel, which each price pays for, by the shape that is wished; sides are multiples of 16.
const RATIOS: [(&str, &str); 13] = [
    ("1:1", "1024x1024"),
    ("16:9", "1344x768"),
    ("9:16", "768x1344"),
    ("4:3", "1152x864"),
    ("3:4", "864x1152"),
    ("3:2", "1248x832"),
    ("2:3", "832x1248"),
    ("5:4", "1120x896"),
    ("4:5", "896x1120"),
    ("2:1", "1408x704"),
    ("1:2", "704x1408"),
    ("21:9", "1536x640"),
    ("9:21", "640x1536"),
];

/// Billed by the megapixel at Black Forest Labs: the price of the book is that of the first.
const BY_THE_MEGAPIXEL: &str = "bfl/flux-2-";
const MEGAPIXEL: u64 = 1_024 * 1_024;
/// Elsewhere the price is that of an image, whatever its size; 4 megapixels are the most that is sold.
const MOST_PIXELS: u64 = 4 * MEGAPIXEL;

/// The size for a shape.
pub(super) fn of_ratio(ratio: &str) -> Option<&'static str> {
    RATIOS.iter().find(|(known, _)| *known == ratio).map(|(_, size)| *size)
}

/// All shapes.
pub(super) fn ratios() -> Vec<&'static str> {
    RATIOS.iter().map(|(ratio, _)| *ratio).collect()
}

/// The pixels of a size; `None` where the provider chooses.
pub(super) fn pixels(size: &str) -> Result<Option<u64>, Invalid> {
    if size == "auto" {
        return Ok(None);
    }
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| *side > 0 && !text.starts_with('+'));
    let sides = size.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    let Some((width, height)) = sides else {
        const SHOWN: usize = 50;
        let shown: String = size.chars().take(SHOWN).collect();
        return Err(invalid(format!("Invalid size '{shown}'. Expected WIDTHxHEIGHT, for example '1024x1024'.")));
    };
    if width % 16 != 0 || height % 16 != 0 {
        return Err(invalid("Width and height must both be divisible by 16.".into()));
    }
    Ok(Some(u64::from(width) * u64::from(height)))
}

/// Refuses what would cost more than the book says.
pub(super) fn check(pixels: u64, model: &Model) -> Result<(), Invalid> {
    let most = if model.id.starts_with(BY_THE_MEGAPIXEL) { MEGAPIXEL } else { MOST_PIXELS };
    if pixels > most {
        let id = &model.id;
        return Err(invalid(format!("The model `{id}` is sold for images of up to {most} pixels, not {pixels}.")));
    }
    Ok(())
}

fn invalid(message: String) -> Invalid {
    Invalid::new("invalid_value", "size", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_a_size_that_each_price_pays_for() {
        for ratio in ratios() {
            let size = of_ratio(ratio).unwrap();
            let pixels = pixels(size).unwrap().unwrap();
            assert!((900_000..=MEGAPIXEL).contains(&pixels), "{ratio}: {pixels}");
            let sides = |text: &str, by: char| -> (f64, f64) {
                let (a, b) = text.split_once(by).unwrap();
                (a.parse().unwrap(), b.parse().unwrap())
            };
            let ((a, b), (width, height)) = (sides(ratio, ':'), sides(size, 'x'));
            assert!((width / height / (a / b) - 1.0).abs() < 0.04, "{ratio} is not {size}");
        }
    }

    #[test]
    fn what_is_no_size_is_said_so() {
        for (size, start) in [
            ("bogus", "Invalid size 'bogus'."),
            ("0x16", "Invalid size"),
            ("x", "Invalid size"),
            ("9x9", "Width and height must both be divisible by 16."),
            ("-16x16", "Invalid size"),
        ] {
            assert!(pixels(size).unwrap_err().message.starts_with(start), "{size}");
        }
        assert_eq!(pixels("auto"), Ok(None));
        assert_eq!(pixels("1024x1024"), Ok(Some(MEGAPIXEL)));
    }
}
