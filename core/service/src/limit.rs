//! How often one client may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::{ClientAddress, bucket};
use crate::problem::Problem;

/// How often one client may ask the public endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LimitConfig {
    /// Requests per minute and client in the long run; 0 means no limit.
    pub per_minute: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

impl Default for LimitConfig {
    /// Many patients of one hospital share one address.
    fn default() -> Self {
        Self { per_minute: 600, burst: 200 }
    }
}

/// Clients remembered per generation; the memory is bounded by twice as many.
const GENERATION: usize = 32_768;

/// One leaky bucket per client (GCRA), in bounded memory: when a generation of clients is full, it becomes the old one,
/// and the one before is forgotten.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Limiter>);

#[derive(Debug)]
struct Limiter {
    interval: Duration,
    tolerance: Duration,
    capacity: usize,
    clients: Mutex<Clients>,
}

/// For each client the time at which its bucket is empty.
#[derive(Debug, Default)]
struct Clients {
    young: HashMap<IpAddr, Instant>,
    old: HashMap<IpAddr, Instant>,
}

impl RateLimiter {
    /// A limiter after `config`.
    pub fn new(config: LimitConfig) -> Self {
        Self::with_capacity(config, GENERATION)
    }

    fn with_capacity(config: LimitConfig, capacity: usize) -> Self {
        let interval = Duration::from_secs(60).checked_div(config.per_minute).unwrap_or(Duration::ZERO);
        Self(Arc::new(Limiter {
            interval,
            tolerance: interval.saturating_mul(config.burst.max(1).saturating_sub(1)),
            capacity,
            clients: Mutex::default(),
        }))
    }

    /// Counts a request of `client`, or says how long it must wait.
    pub fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        let limiter = &*self.0;
        if limiter.interval.is_zero() {
            return Ok(());
        }
        let (client, now) = (bucket(client), Instant::now());
        let mut clients = limiter.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = clients.young.get(&client).or_else(|| clients.old.get(&client)).copied();
        let empty_at = empty_at.unwrap_or(now).max(now);
        let wait = empty_at.duration_since(now).saturating_sub(limiter.tolerance);
        if !wait.is_zero() {
            return Err(wait);
        }
        if clients.young.len() >= limiter.capacity && !clients.young.contains_key(&client) {
            clients.old = std::mem::take(&mut clients.young);
        }
        clients.young.insert(client, empty_at + limiter.interval);
        Ok(())
    }
}

/// Answers 429 `too_many_requests` with `Retry-After` to clients that ask for any of `routes` (at least one) too often.
pub fn apply(routes: Router, limiter: RateLimiter) -> Router {
    routes.route_layer(from_fn_with_state(limiter, check))
}

async fn check(State(limiter): State<RateLimiter>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ClientAddress>();
    let address = client.map_or(IpAddr::from([0, 0, 0, 0]), |client| client.address);
    match limiter.admit(address) {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::of_status(StatusCode::TOO_MANY_REQUESTS)
            .with_header(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)))
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[tokio::test(start_paused = true)]
    async fn burst_then_rate() {
        let limiter = RateLimiter::new(LimitConfig { per_minute: 60, burst: 3 });
        for _ in 0..3 {
            limiter.admit(ip(1)).unwrap();
        }
        assert_eq!(limiter.admit(ip(1)), Err(Duration::from_secs(1)));
        limiter.admit(ip(2)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        limiter.admit(ip(1)).unwrap();
        assert!(limiter.admit(ip(1)).is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            limiter.admit(ip(1)).unwrap();
        }
        assert!(limiter.admit(ip(1)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_prefix_is_one_client_and_zero_is_no_limit() {
        let limiter = RateLimiter::new(LimitConfig { per_minute: 60, burst: 1 });
        limiter.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(limiter.admit("2001:db8::2".parse().unwrap()).is_err());
        limiter.admit("2001:db8:0:1::1".parse().unwrap()).unwrap();
        let open = RateLimiter::new(LimitConfig { per_minute: 0, burst: 0 });
        for _ in 0..1000 {
            open.admit(ip(1)).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_recent_clients_stay_known() {
        let limiter = RateLimiter::with_capacity(LimitConfig { per_minute: 1, burst: 1 }, 10);
        for n in 0..=255 {
            limiter.admit(ip(n)).unwrap();
            let clients = limiter.0.clients.lock().unwrap();
            assert!(clients.young.len() + clients.old.len() <= 20);
        }
        for n in 246..=255 {
            assert!(limiter.admit(ip(n)).is_err(), "{n}");
        }
    }
}
