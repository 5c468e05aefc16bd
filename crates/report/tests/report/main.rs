mod formats;
mod hostile;
mod page;
mod sample;
