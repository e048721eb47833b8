package health_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// Ten thousand probes at once, through every way of asking, while checks come
// and go, updaters flap and the default registry is replaced.
func TestProbesWhileRegistrationsComeAndGo(t *testing.T) {
	first := useRegistry(t, quiet())
	second := quiet()
	defer closeRegistry(t, second)
	bad := errors.New("bad")
	for _, r := range []*health.Registry{first, second} {
		add(t, r, "steady", ok, health.Every(time.Millisecond), health.In(health.Any))
		add(t, r, "asked", ok, health.OnDemand(time.Millisecond))
		r.RegisterFunc("sync", func() error { return nil })
	}
	flap := health.NewThresholdStatusUpdater(2)
	first.Register("flap", flap)
	defer first.OnChange(func(health.Change) {})()

	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i := range 4 {
		churn.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c, err := first.Add(fmt.Sprintf("tenant-%d", i), func(context.Context) error { return bad }, health.NonFatal())
				if err != nil {
					t.Error(err)
					return
				}
				if n%2 == 0 {
					flap.Update(bad)
				} else {
					flap.Update(nil)
				}
				c.Remove()
			}
		})
	}
	churn.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				health.DefaultRegistry = first
				return
			default:
			}
			health.DefaultRegistry = []*health.Registry{first, second}[n%2]
			time.Sleep(10 * time.Microsecond)
		}
	})

	gate := health.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	handlers := []http.Handler{http.HandlerFunc(health.StatusHandler), gate, first.Mux()}
	var probes sync.WaitGroup
	var answers [600]atomic.Int32
	start := make(chan struct{})
	for i := range 10000 {
		probes.Go(func() {
			<-start
			w := httptest.NewRecorder()
			target := []string{"/livez", "/readyz?verbose", "/healthz", "/metrics"}[i%4]
			handlers[i%len(handlers)].ServeHTTP(w, httptest.NewRequest("GET", target, nil))
			answers[w.Code].Add(1)
			if i%50 == 0 {
				health.CheckStatus()
				_ = first.WriteMetrics(io.Discard)
			}
		})
	}
	close(start)
	probes.Wait()
	close(stop)
	churn.Wait()
	if n := answers[200].Load() + answers[503].Load(); n != 10000 || answers[200].Load() == 0 {
		t.Errorf("%d answers of 200 and %d of 503, want 10000 together", answers[200].Load(), answers[503].Load())
	}
}
