//! Figures of the kernel: CPU time, memory, and how much of the machine other processes used.

pub mod cpu;
pub mod machine;
pub mod memory;
mod processes;

pub use cpu::{Meter, Used};
