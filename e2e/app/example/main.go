// Command example is a program as the guides describe it: it serves HTTP and
// gRPC, reports its health by both, by a file and by a unix socket, reads a
// secret from where it finds it, and drains when it is told to stop.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/api"
	"github.com/hardstand/hardstand/app/health/checks"
	"github.com/hardstand/hardstand/app/healthgrpc"
	"github.com/hardstand/hardstand/app/secret"
)

const (
	drainDelay = 3 * time.Second  // what a load balancer needs to notice
	stopLimit  = 20 * time.Second // less than the container engine waits
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv("STATE_DIR")); err != nil {
		slog.Error("example failed", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, state string) error {
	token, err := openToken(ctx)
	if err != nil {
		return err
	}
	defer token.Close()
	slog.Info("secret read", "secret", token.Get(), "from", token.From())

	registry := health.New()
	if err := addChecks(registry, token.Check); err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.Background())
	defer cancel()
	publish(serving, registry, state)

	web := &http.Server{Addr: ":8080", Handler: routes(registry, token), ReadHeaderTimeout: 5 * time.Second}
	calls := grpc.NewServer()
	probes := healthgrpc.Register(calls, registry, healthgrpc.Services{"": health.Ready, "example.Live": health.Live})
	failed := make(chan error, 2)
	go func() { failed <- web.ListenAndServe() }()
	go func() { failed <- listenAndServe(calls, ":9000") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("draining")
	limit, done := context.WithTimeout(context.Background(), stopLimit)
	defer done()
	stopped := make(chan error, 1)
	go func() { stopped <- probes.DrainAndStop(limit, calls, drainDelay) }()
	err = errors.Join(registry.DrainAndShutdown(limit, web, drainDelay), <-stopped, registry.Close())
	slog.Info("stopped", "err", err)
	return err
}

func openToken(ctx context.Context) (*secret.Secret[string], error) {
	return secret.Open(ctx, "admin token", secret.Options[string]{
		Sources: []secret.Source{
			secret.EnvOnce("ADMIN_TOKEN"),
			secret.File("/run/secrets/admin-token", secret.FileOptions{}),
		},
		Refresh: time.Second,
	})
}

func addChecks(r *health.Registry, token health.ContextFunc) error {
	_, e1 := r.Add("token", token, health.Every(time.Second))
	_, e2 := r.Add("self", checks.TCP("127.0.0.1:8080"), health.Every(time.Second), health.In(health.Live|health.Ready))
	_, e3 := r.Add("goroutines", checks.Goroutines(10000), health.Every(time.Second), health.In(health.Live))
	return errors.Join(e1, e2, e3)
}

// publish says how the program is where a probe needs no listener to look.
func publish(ctx context.Context, r *health.Registry, state string) {
	if state == "" {
		return
	}
	go func() {
		if err := r.WriteFile(ctx, health.Ready, filepath.Join(state, "health"), time.Second); err != nil {
			slog.Error("health file", "err", err)
		}
	}()
	go func() {
		if err := r.ServeUnix(ctx, filepath.Join(state, "health.sock")); err != nil {
			slog.Error("health socket", "err", err)
		}
	}()
}

func routes(r *health.Registry, token *secret.Secret[string]) http.Handler {
	mux := http.NewServeMux()
	for path, group := range map[string]health.Group{"/livez": health.Live, "/readyz": health.Ready} {
		mux.Handle(path, r.Handler(group))
	}
	hand := api.NewSwitch(api.SwitchOptions{Registry: r, LoopbackOnly: true})
	mux.HandleFunc("/down", hand.Down)
	mux.HandleFunc("/up", hand.Up)
	mux.Handle("/metrics", r.MetricsHandler())
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(4 * time.Second)
		_, _ = w.Write([]byte("done\n"))
	})
	mux.HandleFunc("/admin", func(w http.ResponseWriter, req *http.Request) {
		given := []byte(req.Header.Get("Authorization"))
		if subtle.ConstantTimeCompare(given, []byte("Bearer "+token.Get().Reveal())) != 1 {
			http.Error(w, "forbidden", http.StatusForbidden)
		}
	})
	mux.Handle("/", r.Gate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello\n")) })))
	return mux
}

func listenAndServe(s *grpc.Server, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(l)
}
