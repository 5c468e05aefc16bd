mod actions;
mod lab;
mod lifetime;
mod matches;
mod plain_data;
