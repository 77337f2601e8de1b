mod arch; mod cmd; mod report;
fn main() {}
