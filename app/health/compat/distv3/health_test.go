package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	root "github.com/hardstand/hardstand/app/health"
	health "github.com/hardstand/hardstand/app/health/compat/distv3"
	"github.com/hardstand/hardstand/app/health/compat/distv3/api"
	"github.com/hardstand/hardstand/app/health/compat/distv3/checks"
)

// The surface of distribution v3.1.1, as values of their exact types.
var (
	_    func() *health.Registry                                              = health.NewRegistry
	_    func() health.Updater                                                = health.NewStatusUpdater
	_    func(int) health.Updater                                             = health.NewThresholdStatusUpdater
	_    func(context.Context, health.Updater, health.Checker, time.Duration) = health.Poll
	_    func(context.Context) map[string]string                              = health.CheckStatus
	_    func(*health.Registry, context.Context) map[string]string            = (*health.Registry).CheckStatus
	_    func(string, health.Checker)                                         = health.Register
	_    func(*health.Registry, string, health.Checker)                       = (*health.Registry).Register
	_    func(string, health.CheckFunc)                                       = health.RegisterFunc
	_    func(*health.Registry, string, health.CheckFunc)                     = (*health.Registry).RegisterFunc
	_    func(http.ResponseWriter, *http.Request)                             = health.StatusHandler
	_    func(http.Handler) http.Handler                                      = health.Handler
	_    **health.Registry                                                    = &health.DefaultRegistry
	_    func(string) health.Checker                                          = checks.FileChecker
	_    func(string, int, time.Duration, http.Header) health.Checker         = checks.HTTPChecker
	_    func(string, time.Duration) health.Checker                           = checks.TCPChecker
	_, _ func(http.ResponseWriter, *http.Request)                             = api.DownHandler, api.UpHandler
)

func get(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestWire(t *testing.T) {
	old := health.DefaultRegistry
	defer func() { health.DefaultRegistry = old }()
	health.DefaultRegistry = health.NewRegistry()
	u := health.NewStatusUpdater()
	health.Register("b", u)
	health.RegisterFunc("a", func(context.Context) error { return nil })
	gate := health.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for _, step := range []struct {
		status error
		code   int
		body   string
		gate   int
	}{{nil, 200, "{}", 204}, {errors.New("bad"), 503, `{"b":"bad"}`, 503}, {nil, 200, "{}", 204}} {
		u.Update(step.status)
		for _, h := range []http.Handler{http.HandlerFunc(health.StatusHandler), http.DefaultServeMux} {
			w := get(h, "GET", "/debug/health")
			if w.Code != step.code || w.Body.String() != step.body || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		}
		if w := get(gate, "GET", "/"); w.Code != step.gate {
			t.Errorf("gate: %d, want %d", w.Code, step.gate)
		}
	}
	for _, method := range []string{"HEAD", "POST"} {
		if w := get(http.DefaultServeMux, method, "/debug/health"); w.Code != 404 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestBothShapesShareTheDefaultRegistry(t *testing.T) {
	old := root.DefaultRegistry
	defer func() { root.DefaultRegistry = old }()
	root.DefaultRegistry = root.NewRegistry()
	health.RegisterFunc("v3", func(context.Context) error { return errors.New("three") })
	root.RegisterFunc("v2", func() error { return errors.New("two") })
	w := get(http.DefaultServeMux, "GET", "/debug/health")
	if want := `{"v2":"two","v3":"three"}`; w.Body.String() != want {
		t.Errorf("%s, want %s", w.Body, want)
	}
	api.DownHandler(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	if got := health.CheckStatus(t.Context()); len(got) != 3 {
		t.Errorf("after down: %v", got)
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := health.NewThresholdStatusUpdater(3)
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		var err atomic.Pointer[error]
		var hang atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			health.Poll(ctx, u, health.CheckFunc(func(context.Context) error {
				if hang.Load() {
					<-release
				}
				if e := err.Load(); e != nil {
					return *e
				}
				return nil
			}), 20*time.Second)
		}()
		synctest.Wait()
		bad := errors.New("bad")
		err.Store(&bad)
		time.Sleep(41 * time.Second)
		if got := u.Check(ctx); got != nil {
			t.Errorf("two failures of three: %v", got)
		}
		time.Sleep(20 * time.Second)
		if got := u.Check(ctx); got == nil || got.Error() != "bad" {
			t.Errorf("three failures: %v", got)
		}
		err.Store(nil)
		time.Sleep(20 * time.Second)
		if got := u.Check(ctx); got != nil {
			t.Errorf("a success: %v", got)
		}
		hang.Store(true)
		time.Sleep(20 * time.Second)
		cancel() // the original never returns while its check hangs
		<-done
		if got := u.Check(ctx); !errors.Is(got, context.Canceled) {
			t.Errorf("polling ended: %v", got)
		}
		close(release)
		time.Sleep(time.Minute)
		if got := u.Check(ctx); !errors.Is(got, context.Canceled) {
			t.Errorf("a late result replaced it: %v", got)
		}
	})
}
