package healthgrpc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/healthgrpc"
)

const (
	serving    = healthpb.HealthCheckResponse_SERVING
	notServing = healthpb.HealthCheckResponse_NOT_SERVING
)

type world struct {
	registry *health.Registry
	server   *grpc.Server
	health   *healthgrpc.Server
	conn     *grpc.ClientConn
	client   healthpb.HealthClient
	served   chan error
}

// start serves a registry on loopback, as a program would.
func start(t *testing.T, services healthgrpc.Services) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{registry: health.New(health.Logger(slog.New(slog.DiscardHandler))), server: grpc.NewServer(), served: make(chan error, 1)}
	w.health = healthgrpc.Register(w.server, w.registry, services)
	go func() { w.served <- w.server.Serve(l) }()
	w.conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	w.client = healthpb.NewHealthClient(w.conn)
	t.Cleanup(func() {
		w.server.Stop()
		_ = w.conn.Close()
		if err := w.registry.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) check(t *testing.T, service string) healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	res, err := w.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return res.Status
}

func TestCheckAndList(t *testing.T) {
	w := start(t, healthgrpc.Services{"": health.Ready, "app.Live": health.Live, "app.Mistake": 0})
	u := health.NewStatusUpdater()
	if _, err := w.registry.AddChecker("db", u, health.In(health.Any)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		status error
		want   healthpb.HealthCheckResponse_ServingStatus
	}{{nil, serving}, {errors.New("bad"), notServing}, {health.Degraded(errors.New("slow")), serving}} {
		u.Update(step.status)
		for _, service := range []string{"", "app.Live", "app.Mistake"} {
			if got := w.check(t, service); got != step.want {
				t.Errorf("%q with %v: %v, want %v", service, step.status, got, step.want)
			}
		}
		list, err := w.client.List(t.Context(), &healthpb.HealthListRequest{})
		if err != nil || len(list.Statuses) != 3 || list.Statuses["app.Live"].Status != step.want {
			t.Errorf("list: %v %v", list, err)
		}
	}
	_, err := w.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "none"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: %v", err)
	}
}

// grpc-go's own server says SERVING before anything is known.
func TestNotServingBeforeTheFirstRun(t *testing.T) {
	w := start(t, nil)
	release := make(chan struct{})
	if _, err := w.registry.Add("db", func(context.Context) error { <-release; return nil }); err != nil {
		t.Fatal(err)
	}
	if got := w.check(t, ""); got != notServing {
		t.Errorf("before: %v", got)
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); w.check(t, "") != serving; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not serving after the first run")
		}
	}
}

func TestWatchUntilDrained(t *testing.T) {
	w := start(t, nil)
	u := health.NewStatusUpdater()
	w.registry.Register("db", u)
	watch := func(service string) healthpb.Health_WatchClient {
		stream, err := w.client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	next := func(stream healthpb.Health_WatchClient, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		res, err := stream.Recv()
		if err != nil || res.Status != want {
			t.Fatalf("%v %v, want %v", res.GetStatus(), err, want)
		}
	}
	known, unknown := watch(""), watch("none")
	next(unknown, healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
	next(known, serving)
	u.Update(errors.New("bad"))
	next(known, notServing)
	u.Update(nil)
	next(known, serving)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.health.DrainAndStop(ctx, w.server, 100*time.Millisecond) }()
	next(known, notServing)
	if got := w.check(t, ""); got != notServing {
		t.Errorf("while draining: %v", got)
	}
	for _, stream := range []healthpb.Health_WatchClient{known, unknown} {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("end of the stream: %v", err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("a graceful stop with watchers: %v", err)
	}
	if err := <-w.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestClientCheck(t *testing.T) {
	w := start(t, nil)
	u := health.NewStatusUpdater()
	w.registry.Register("db", u)
	c := healthgrpc.Check(w.conn, "")
	if err := c(t.Context()); err != nil {
		t.Error(err)
	}
	u.Update(errors.New("bad"))
	if err := c(t.Context()); err == nil || err.Error() != `check gRPC health of service "": NOT_SERVING` {
		t.Errorf("%v", err)
	}
	if err := healthgrpc.Check(w.conn, "none")(t.Context()); status.Code(errors.Unwrap(err)) != codes.NotFound {
		t.Errorf("%v", err)
	}
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	os.Exit(m.Run())
}
