// Package peers measures app/health beside docker's package and three others.
// That it starts at all shows that app/health and docker's package, which both
// serve /debug/health, can be linked into one program.
package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sundheit "github.com/AppsFlyer/go-sundheit"
	sundheithttp "github.com/AppsFlyer/go-sundheit/http"
	alex "github.com/alexliesenfeld/health"
	docker "github.com/docker/distribution/health"
	_ "github.com/docker/distribution/health/api" // registers the same paths as app/health/api
	hellofresh "github.com/hellofresh/health-go/v5"

	sundheitchecks "github.com/AppsFlyer/go-sundheit/checks"

	"github.com/hardstand/hardstand/app/health"
	_ "github.com/hardstand/hardstand/app/health/api"
)

// sink is a ResponseWriter that is reused, so that the handlers alone count.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

var errDown = errors.New("dial tcp 10.0.0.5:5432: connect: connection refused")

// world makes the handler of one implementation with n checks of which those
// that fail says fail, and waits until their results are there.
type world struct {
	impl string
	make func(b *testing.B, n int, fail func(int) bool) http.Handler
}

func name(i int) string { return fmt.Sprintf("check-%03d", i) }

func result(i int, fail func(int) bool) error {
	if fail(i) {
		return errDown
	}
	return nil
}

func settle(b *testing.B, h http.Handler, want int) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code == want {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("status %d, want %d: %s", w.Code, want, w.Body)
		}
	}
}

func own(b *testing.B) *health.Registry {
	r, old := health.New(health.Logger(slog.New(slog.DiscardHandler))), health.DefaultRegistry
	health.DefaultRegistry = r
	b.Cleanup(func() {
		health.DefaultRegistry = old
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

func ownPeriodic(b *testing.B, n int, fail func(int) bool) {
	r := own(b)
	for i := range n {
		c, err := r.Add(name(i), func(context.Context) error { return result(i, fail) }, health.Every(time.Hour), health.In(health.Any))
		if err != nil {
			b.Fatal(err)
		}
		c.RunNow(b.Context())
	}
}

func ownUpdaters(b *testing.B, n int, fail func(int) bool) {
	r := own(b)
	for i := range n {
		u := health.NewStatusUpdater()
		u.Update(result(i, fail))
		r.Register(name(i), u)
	}
}

func dockerUpdaters(n int, fail func(int) bool) {
	docker.DefaultRegistry = docker.NewRegistry()
	for i := range n {
		u := docker.NewStatusUpdater()
		u.Update(result(i, fail))
		docker.Register(name(i), u)
	}
}

var worlds = []world{
	{"hardstand", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		ownPeriodic(b, n, fail)
		return http.HandlerFunc(health.StatusHandler)
	}},
	{"hardstand-updaters", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		ownUpdaters(b, n, fail)
		return http.HandlerFunc(health.StatusHandler)
	}},
	{"hardstand-details", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		ownPeriodic(b, n, fail)
		h := health.DefaultRegistry.Handler(health.Any, health.Details(health.Full, nil), health.As(health.HealthJSON))
		return h
	}},
	{"docker", func(_ *testing.B, n int, fail func(int) bool) http.Handler {
		dockerUpdaters(n, fail)
		return http.HandlerFunc(docker.StatusHandler)
	}},
	{"alexliesenfeld", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		opts := []alex.CheckerOption{}
		for i := range n {
			opts = append(opts, alex.WithPeriodicCheck(time.Hour, 0, alex.Check{Name: name(i), Check: func(context.Context) error { return result(i, fail) }}))
		}
		c := alex.NewChecker(opts...)
		b.Cleanup(c.Stop)
		return alex.NewHandler(c)
	}},
	{"hellofresh", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		h, err := hellofresh.New()
		if err != nil {
			b.Fatal(err)
		}
		for i := range n {
			if err := h.Register(hellofresh.Config{Name: name(i), Check: func(context.Context) error { return result(i, fail) }}); err != nil {
				b.Fatal(err)
			}
		}
		return h.Handler()
	}},
	{"sundheit", func(b *testing.B, n int, fail func(int) bool) http.Handler {
		h := sundheit.New()
		for i := range n {
			c := &sundheitchecks.CustomCheck{CheckName: name(i), CheckFunc: func(context.Context) (any, error) { return nil, result(i, fail) }}
			if err := h.RegisterCheck(c, sundheit.ExecutionPeriod(time.Hour)); err != nil {
				b.Fatal(err)
			}
		}
		b.Cleanup(h.DeregisterAll)
		return sundheithttp.HandleHealthJSON(h)
	}},
}

func measure(b *testing.B, fail func(int) bool, want int, sizes ...int) {
	for _, n := range sizes {
		for _, w := range worlds {
			b.Run(fmt.Sprintf("n=%d/impl=%s", n, w.impl), func(b *testing.B) {
				h := w.make(b, n, fail)
				settle(b, h, want)
				s, req := &sink{http.Header{}}, httptest.NewRequest("GET", "/", nil)
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(s, req)
				}
			})
		}
	}
}

func BenchmarkHealthy(b *testing.B) {
	measure(b, func(int) bool { return false }, http.StatusOK, 1, 10, 100)
}

func BenchmarkHalfFailing(b *testing.B) {
	measure(b, func(i int) bool { return i%2 == 0 }, http.StatusServiceUnavailable, 10, 100)
}

// BenchmarkGate measures what every request to the application pays.
func BenchmarkGate(b *testing.B) {
	none := func(int) bool { return false }
	app := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, n := range []int{1, 10, 100} {
		for impl, h := range map[string]func(b *testing.B) http.Handler{
			"bare":               func(*testing.B) http.Handler { return app },
			"hardstand":          func(b *testing.B) http.Handler { ownPeriodic(b, n, none); return health.Handler(app) },
			"hardstand-updaters": func(b *testing.B) http.Handler { ownUpdaters(b, n, none); return health.Handler(app) },
			"docker":             func(*testing.B) http.Handler { dockerUpdaters(n, none); return docker.Handler(app) },
		} {
			b.Run(fmt.Sprintf("n=%d/impl=%s", n, impl), func(b *testing.B) {
				h := h(b)
				s, req := &sink{http.Header{}}, httptest.NewRequest("GET", "/", nil)
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(s, req)
				}
			})
		}
	}
}
