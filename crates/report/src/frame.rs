//! Where the axes of a panel lie in a picture.

use crate::plot::{Panel, Plot};

/// Where the area begins, on the left.
pub(super) const LEFT: f64 = 66.0;
/// Where the area ends, on the right.
pub(super) const RIGHT: f64 = 466.0;

/// Where the axes of a panel lie in the picture.
pub(super) struct AxisFrame<'a> {
    pub(super) plot: &'a Plot,
    pub(super) panel: &'a Panel,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl AxisFrame<'_> {
    /// Width of the area.
    pub(super) const WIDTH: f64 = RIGHT - LEFT;

    pub(super) fn x(&self, value: f64) -> f64 {
        LEFT + self.plot.x.share(value) * Self::WIDTH
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.bottom - self.panel.y.share(value) * (self.bottom - self.top)
    }
}

/// A length in the picture, to a tenth.
pub(super) fn px(length: f64) -> String {
    // Minus zero reads badly, and differs from zero in a file.
    format!("{:.1}", (length * 10.0).round() / 10.0 + 0.0)
}
