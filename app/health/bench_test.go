package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// sink is a ResponseWriter that is reused, so that the handler alone counts.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func benchRegistry(b *testing.B, n int, failing func(int) bool, periodic bool) {
	old := health.DefaultRegistry
	r := quiet()
	health.DefaultRegistry = r
	b.Cleanup(func() { health.DefaultRegistry = old; _ = r.Close() })
	for i := range n {
		name := fmt.Sprintf("check-%03d", i)
		var err error
		if failing(i) {
			err = errors.New("dial tcp 10.0.0.5:5432: connection refused")
		}
		if !periodic {
			u := health.NewStatusUpdater()
			u.Update(err)
			r.Register(name, u)
			continue
		}
		c, e := r.Add(name, func(context.Context) error { return err }, health.Every(time.Hour), health.In(health.Any))
		if e != nil {
			b.Fatal(e)
		}
		c.RunNow(b.Context())
	}
}

func BenchmarkStatusHandler(b *testing.B) {
	none := func(int) bool { return false }
	half := func(i int) bool { return i%2 == 0 }
	for _, c := range []struct {
		name     string
		n        int
		failing  func(int) bool
		periodic bool
	}{
		{"healthy-1", 1, none, true}, {"healthy-10", 10, none, true}, {"healthy-100", 100, none, true},
		{"healthy-100-updaters", 100, none, false},
		{"half-failing-100", 100, half, true}, {"half-failing-100-updaters", 100, half, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			benchRegistry(b, c.n, c.failing, c.periodic)
			w, req := &sink{http.Header{}}, httptest.NewRequest("GET", "/debug/health", nil)
			b.ReportAllocs()
			for b.Loop() {
				health.StatusHandler(w, req)
			}
		})
	}
}

func BenchmarkGate(b *testing.B) {
	for _, periodic := range []bool{true, false} {
		b.Run(fmt.Sprintf("periodic=%v", periodic), func(b *testing.B) {
			benchRegistry(b, 100, func(int) bool { return false }, periodic)
			h := health.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			w, req := &sink{http.Header{}}, httptest.NewRequest("GET", "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, req)
			}
		})
	}
}
