package health_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// The expected text is testdata/metrics.txt; UPDATE=1 rewrites it.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		release := make(chan struct{})
		defer close(release)
		add(t, r, "db", func(context.Context) error { time.Sleep(250 * time.Millisecond); return errors.New("bad") },
			health.Every(10*time.Second), health.Jitter(0))
		add(t, r, `odd "name"\`, ok, health.In(health.Live), health.Jitter(0))
		add(t, r, "hung", func(context.Context) error { <-release; return nil }, health.NonFatal())
		asked := 0
		add(t, r, "asked", func(context.Context) error { asked++; return nil }, health.OnDemand(0), health.In(health.Startup))
		time.Sleep(12 * time.Second)
		var b strings.Builder
		if err := r.WriteMetrics(&b); err != nil {
			t.Fatal(err)
		}
		if asked != 0 {
			t.Error("a scrape ran a check")
		}
		golden(t, "metrics.txt", b.String())
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; it is now\n%s", path, got)
	}
}

// Whatever a client asks for, it is answered with the group's state, and learns
// nothing it may not know.
func FuzzHandlerRequest(f *testing.F) {
	for _, accept := range []string{"", "application/health+json", "text/plain;q=0,*/*", "application/json, ;=,", "text/plain\x00"} {
		for _, query := range []string{"", "verbose", "verbose&exclude=db", "exclude=%zz&verbose=1;x", "exclude=db%0a[+]forged ok"} {
			f.Add(accept, query)
		}
	}
	r := quiet()
	u := health.NewStatusUpdater()
	u.Update(errors.New("topsecret"))
	r.Register("database", u)
	never := r.Handler(health.Ready, health.Details(health.Never, nil))
	names := r.Handler(health.Ready)
	f.Fuzz(func(t *testing.T, accept, query string) {
		req := newRequest(accept, query)
		if code, body := answer(never, req); code != 503 || strings.Contains(body, "database") || strings.Contains(body, "topsecret") {
			t.Errorf("Never: %d %s", code, body)
		}
		code, body := answer(names, req)
		if excluded := req.URL.Query()["exclude"]; code != 503 && !slices.Contains(excluded, "database") {
			t.Errorf("Names: %d %s", code, body)
		}
		if strings.Contains(body, "topsecret") && !strings.Contains(query, "topsecret") {
			t.Errorf("Names: %s", body)
		}
	})
}
