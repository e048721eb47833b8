package healthgrpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// DrainAndStop ends srv the way a load balancer expects: it drains the registry,
// so that Check and Watch say NOT_SERVING, keeps serving for delay, then ends the
// Watch streams, for which a graceful stop would wait for ever, and lets other
// calls in flight finish. ctx bounds the whole and must not be the one that the
// signal has just ended; when it ends first, connections are cut and the error
// is ctx's.
func (s *Server) DrainAndStop(ctx context.Context, srv *grpc.Server, delay time.Duration) error {
	s.registry.Drain("shutting down")
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.GracefulStop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		srv.Stop()
		<-done
		return fmt.Errorf("stop gRPC server: %w", ctx.Err())
	}
}
