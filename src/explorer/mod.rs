//! The pages below `/explorer/`.

pub mod errors;
pub mod html;
