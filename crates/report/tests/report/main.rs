mod page;
mod sample;
