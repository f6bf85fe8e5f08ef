//! What both CareKey servers share: configuration, serving, problems, metrics, limits and the guarded HTTP client.

pub mod pages;
