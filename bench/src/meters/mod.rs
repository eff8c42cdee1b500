//! What is read off the kernel: CPU time, memory, and who else was on the box.

pub mod cpu;
pub mod machine;
pub mod memory;
mod processes;

pub use cpu::{Meter, Used};
