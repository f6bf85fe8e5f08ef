//! A router that remembers its routes, so that the OpenAPI document can be compared with them.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{get, post};

/// Routes with the state `S`.
pub(crate) struct Table<S> {
    router: Router<S>,
    entries: Vec<(&'static str, &'static str)>,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), entries: Vec::new() }
    }

    pub(crate) fn get<H: Handler<T, S>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.router = self.router.route(path, get(handler));
        self.entries.push(("get", path));
        self
    }

    pub(crate) fn post<H: Handler<T, S>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.router = self.router.route(path, post(handler));
        self.entries.push(("post", path));
        self
    }

    pub(crate) fn into_router(self, state: S) -> Router {
        self.router.with_state(state)
    }

    /// Method (lower case) and path of every route, as in an OpenAPI document.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[(&'static str, &'static str)] {
        &self.entries
    }
}
