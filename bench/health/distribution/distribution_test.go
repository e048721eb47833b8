// Package distribution measures app/health beside distribution v3's package. It
// is apart from the other peers because that package and docker's panic when
// both are linked.
package distribution

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	v3 "github.com/distribution/distribution/v3/health"

	"github.com/hardstand/hardstand/app/health"
)

type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func measure(b *testing.B, impl string, n int, h http.Handler) {
	b.Run(fmt.Sprintf("n=%d/impl=%s", n, impl), func(b *testing.B) {
		s, req := &sink{http.Header{}}, httptest.NewRequest("GET", "/", nil)
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(s, req)
		}
	})
}

func BenchmarkDistribution(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		health.DefaultRegistry, v3.DefaultRegistry = health.NewRegistry(), v3.NewRegistry()
		for i := range n {
			name := fmt.Sprintf("check-%03d", i)
			health.Register(name, health.NewStatusUpdater())
			v3.Register(name, v3.NewStatusUpdater())
		}
		measure(b, "hardstand", n, http.HandlerFunc(health.StatusHandler))
		measure(b, "distribution-v3", n, http.HandlerFunc(v3.StatusHandler))
	}
}
