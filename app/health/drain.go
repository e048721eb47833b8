package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Drain makes the Ready group fail for that reason from now on, so that load
// balancers look elsewhere. Live and the gates are not affected: the program
// serves what still reaches it.
func (r *Registry) Drain(reason string) {
	r = r.or()
	if reason == "" {
		reason = "draining"
	}
	r.drain.Store(&reason)
	r.changed()
}

// Resume undoes Drain. A closed registry stays as it is.
func (r *Registry) Resume() {
	r = r.or()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.drain.Store(nil)
		r.changed()
	}
}

// DrainAndShutdown ends a server the way a load balancer expects: it drains the
// registry, keeps serving for delay so that probes see it, then shuts srv down
// and waits for requests in flight. Call it on SIGTERM. ctx bounds the whole; it
// must not be the context that the signal has just ended. When ctx ends first,
// connections are cut and the error is ctx's.
func (r *Registry) DrainAndShutdown(ctx context.Context, srv *http.Server, delay time.Duration) error {
	r.Drain("shutting down")
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut down server: %w", errors.Join(err, srv.Close()))
	}
	return nil
}

// DrainAndShutdown drains DefaultRegistry and shuts srv down.
func DrainAndShutdown(ctx context.Context, srv *http.Server, delay time.Duration) error {
	return defaultRegistry().DrainAndShutdown(ctx, srv, delay)
}
