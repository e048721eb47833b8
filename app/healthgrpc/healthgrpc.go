// Package healthgrpc serves a health registry by gRPC's health checking protocol
// and checks the health of other gRPC servers.
//
// It is a module of its own, so that app/health does not require grpc.
package healthgrpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hardstand/hardstand/app/health"
)

// Services maps the service names of the protocol to groups. The empty name
// stands for the server as a whole.
type Services map[string]health.Group

// Register serves the registry on s: the services given, or the server as a
// whole as Ready if there are none. grpc-go's own health server says SERVING
// until told otherwise; this one says what the registry says, from the first
// request on, and never runs a check on a client's context.
func Register(s grpc.ServiceRegistrar, r *health.Registry, services Services) *Server {
	h := NewServer(r, services)
	healthpb.RegisterHealthServer(s, h)
	return h
}

// Server is the health service of a registry.
type Server struct {
	healthpb.UnimplementedHealthServer
	registry *health.Registry // nil: the default one
	services Services
	stopping chan struct{}
	stop     func() // closes stopping
}

// NewServer returns the service that Register registers.
func NewServer(r *health.Registry, services Services) *Server {
	if len(services) == 0 {
		services = Services{"": health.Ready}
	}
	copied := make(Services, len(services))
	for name, group := range services {
		if group&health.Any == 0 {
			group = health.Any // a mistake must not be a service that is always healthy
		}
		copied[name] = group & health.Any
	}
	h := &Server{registry: r, services: copied, stopping: make(chan struct{})}
	h.stop = sync.OnceFunc(func() { close(h.stopping) })
	return h
}

// Check answers for one service, with NOT_FOUND if it is unknown.
func (s *Server) Check(ctx context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	group, ok := s.services[req.GetService()]
	if !ok {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.HealthCheckResponse{Status: serving(s.registry.State(ctx, group))}, nil
}

// maxList is how many services grpc-go's own server lists.
const maxList = 100

// List answers for all services, with RESOURCE_EXHAUSTED if they are too many.
func (s *Server) List(ctx context.Context, _ *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	if len(s.services) > maxList {
		return nil, status.Errorf(codes.ResourceExhausted, "more than %d services", maxList)
	}
	out := &healthpb.HealthListResponse{Statuses: map[string]*healthpb.HealthCheckResponse{}}
	for name, group := range s.services {
		out.Statuses[name] = &healthpb.HealthCheckResponse{Status: serving(s.registry.State(ctx, group))}
	}
	return out, nil
}

// Watch sends the status now and whenever it changes. For an unknown service it
// sends SERVICE_UNKNOWN and keeps the stream open, as the protocol demands.
func (s *Server) Watch(req *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.watch(ctx, req.GetService(), stream); err != nil {
		return err
	}
	select {
	case <-s.stopping:
		return status.Error(codes.Unavailable, "server is shutting down")
	default:
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (s *Server) watch(ctx context.Context, service string, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	group, ok := s.services[service]
	if !ok {
		if err := stream.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVICE_UNKNOWN}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	last := healthpb.HealthCheckResponse_UNKNOWN
	for snap := range s.registry.Watch(ctx, group) {
		now := serving(snap.State)
		if now == last {
			continue
		}
		if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
			return err
		}
		last = now
	}
	return nil
}

func serving(s health.State) healthpb.HealthCheckResponse_ServingStatus {
	if s == health.Pass || s == health.Warn {
		return healthpb.HealthCheckResponse_SERVING
	}
	return healthpb.HealthCheckResponse_NOT_SERVING
}

// Check returns a health check of another gRPC server: it fails unless the
// service, "" for the whole server, is SERVING there. The connection is the
// program's own, so the check sees what its calls see.
func Check(conn grpc.ClientConnInterface, service string) health.ContextFunc {
	client := healthpb.NewHealthClient(conn)
	return func(ctx context.Context) error {
		res, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			return fmt.Errorf("check gRPC health of service %q: %w", service, err)
		}
		if got := res.GetStatus(); got != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("check gRPC health of service %q: %s", service, got)
		}
		return nil
	}
}
