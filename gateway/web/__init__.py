"""HTTP towards callers: routes, middleware, and the pipeline from request to response."""
