package health_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/api"
	"github.com/hardstand/hardstand/app/health/checks"
)

// The surface of docker's package, as values of their exact types: an option
// added to one of them would break programs that pass it on.
var (
	_    func() *health.Registry                                              = health.NewRegistry
	_    func() health.Updater                                                = health.NewStatusUpdater
	_    func(int) health.Updater                                             = health.NewThresholdStatusUpdater
	_    func(health.Checker, time.Duration) health.Checker                   = health.PeriodicChecker
	_    func(health.Checker, time.Duration, int) health.Checker              = health.PeriodicThresholdChecker
	_    func() map[string]string                                             = health.CheckStatus
	_    func(*health.Registry) map[string]string                             = (*health.Registry).CheckStatus
	_    func(string, health.Checker)                                         = health.Register
	_    func(*health.Registry, string, health.Checker)                       = (*health.Registry).Register
	_    func(string, func() error)                                           = health.RegisterFunc
	_    func(*health.Registry, string, func() error)                         = (*health.Registry).RegisterFunc
	_    func(string, time.Duration, health.CheckFunc)                        = health.RegisterPeriodicFunc
	_    func(*health.Registry, string, time.Duration, health.CheckFunc)      = (*health.Registry).RegisterPeriodicFunc
	_    func(string, time.Duration, int, health.CheckFunc)                   = health.RegisterPeriodicThresholdFunc
	_    func(*health.Registry, string, time.Duration, int, health.CheckFunc) = (*health.Registry).RegisterPeriodicThresholdFunc
	_    func(http.ResponseWriter, *http.Request)                             = health.StatusHandler
	_    func(http.Handler) http.Handler                                      = health.Handler
	_    **health.Registry                                                    = &health.DefaultRegistry
	_    health.Checker                                                       = health.CheckFunc(nil)
	_    func(string) health.Checker                                          = checks.FileChecker
	_    func(string, int, time.Duration, http.Header) health.Checker         = checks.HTTPChecker
	_    func(string, time.Duration) health.Checker                           = checks.TCPChecker
	_, _ func(http.ResponseWriter, *http.Request)                             = api.DownHandler, api.UpHandler
)

// useRegistry makes r the default one for the test.
func useRegistry(t *testing.T, r *health.Registry) *health.Registry {
	t.Helper()
	old := health.DefaultRegistry
	health.DefaultRegistry = r
	t.Cleanup(func() {
		health.DefaultRegistry = old
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func ask(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// What docker's package answers on http.DefaultServeMux, byte for byte.
func TestDockerWire(t *testing.T) {
	useRegistry(t, quiet())
	srv := httptest.NewServer(http.DefaultServeMux)
	defer srv.Close()
	const down = `{"manual_http_status":"Manual Check"}`
	const json, text = "application/json; charset=utf-8", "text/plain; charset=utf-8"
	for _, step := range []struct {
		method, path string
		code         int
		kind, body   string
	}{
		{"GET", "/debug/health", 200, json, "{}"},
		{"HEAD", "/debug/health", 404, text, ""},
		{"POST", "/debug/health", 404, text, "404 page not found\n"},
		{"GET", "/debug/health/", 404, text, "404 page not found\n"},
		{"GET", "/debug/health/down", 404, "", ""},
		{"GET", "/debug/health/up", 404, "", ""},
		{"GET", "/debug/health", 200, json, "{}"},
		{"POST", "/debug/health/down", 200, "", ""},
		{"GET", "/debug/health", 503, json, down},
		{"POST", "/debug/health/down", 200, "", ""},
		{"GET", "/debug/health", 503, json, down},
		{"POST", "/debug/health/up", 200, "", ""},
		{"GET", "/debug/health", 200, json, "{}"},
	} {
		res, body := ask(t, step.method, srv.URL+step.path)
		if res.StatusCode != step.code || body != step.body || res.Header.Get("Content-Type") != step.kind {
			t.Errorf("%s %s: %d %q %q, want %d %q %q", step.method, step.path, res.StatusCode,
				res.Header.Get("Content-Type"), body, step.code, step.kind, step.body)
		}
		if res.ContentLength != int64(len(body)) && step.method != "HEAD" {
			t.Errorf("%s %s: Content-Length %d, body of %d", step.method, step.path, res.ContentLength, len(body))
		}
	}
}

func TestDockerBodySortsAndEscapes(t *testing.T) {
	r := useRegistry(t, quiet())
	r.RegisterFunc("b", func() error { return errors.New("<a&\xff\u2028>") })
	r.RegisterFunc("a", func() error { return errors.New(`"quoted"`) })
	r.RegisterFunc("ok", func() error { return nil })
	w := httptest.NewRecorder()
	health.StatusHandler(w, httptest.NewRequest("GET", "/", nil))
	const want = `{"a":"\"quoted\"","b":"\u003ca\u0026\ufffd\u2028\u003e"}`
	if w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s, want 503 %s", w.Code, w.Body, want)
	}
}

func TestDockerGate(t *testing.T) {
	r := useRegistry(t, quiet())
	u := health.NewStatusUpdater()
	r.Register("u", u)
	h := health.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for _, step := range []struct {
		status error
		code   int
		body   string
	}{
		{nil, 204, ""},
		{errors.New("down"), 503, `{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","detail":"health check failed: please see /debug/health"}]}` + "\n"},
		{nil, 204, ""},
	} {
		u.Update(step.status)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != step.code || w.Body.String() != step.body {
			t.Errorf("status %v: %d %q, want %d %q", step.status, w.Code, w.Body, step.code, step.body)
		}
	}
}

func TestThresholdUpdater(t *testing.T) {
	bad := errors.New("bad")
	for _, c := range []struct {
		threshold int
		updates   string // f: failure, .: success
		shows     string
	}{
		{3, "fff.ffff", "..f...ff"},
		{1, "f.f", "f.f"},
		{0, "f.f", "f.f"},
		{-1, "ff", "ff"},
	} {
		u := health.NewThresholdStatusUpdater(c.threshold)
		var shows bytes.Buffer
		for _, x := range c.updates {
			if x == 'f' {
				u.Update(bad)
			} else {
				u.Update(nil)
			}
			if u.Check() != nil {
				shows.WriteByte('f')
			} else {
				shows.WriteByte('.')
			}
		}
		if shows.String() != c.shows {
			t.Errorf("threshold %d, updates %s: shows %s, want %s", c.threshold, c.updates, &shows, c.shows)
		}
	}
}

func TestDuplicatePanicsWithDockersWords(t *testing.T) {
	r := quiet()
	r.RegisterFunc("x", func() error { return nil })
	defer func() {
		if v := recover(); v != "Check already exists: x" {
			t.Errorf("panic %v", v)
		}
	}()
	r.RegisterPeriodicFunc("x", time.Hour, func() error { t.Error("the check of a refused registration ran"); return nil })
}

func TestNilRegistryIsTheDefault(t *testing.T) {
	r := useRegistry(t, quiet())
	var none *health.Registry
	none.RegisterFunc("x", func() error { return errors.New("bad") })
	if got := r.CheckStatus()["x"]; got != "bad" {
		t.Errorf("CheckStatus of the default registry: %q", got)
	}
}
