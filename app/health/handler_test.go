package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

// fleet registers one check of every kind that a format must show.
func fleet(t *testing.T, r *health.Registry) {
	t.Helper()
	secret := errors.New(`dial tcp 10.0.0.5:5432: pq: password authentication failed for user "admin"`)
	add(t, r, "db", func(context.Context) error { return secret }, health.In(health.Any))
	add(t, r, "orders", func(context.Context) error { return errors.New("no database") }, health.DependsOn("cache", "db"), health.Public("orders are closed"))
	add(t, r, "cache", func(context.Context) error { return health.Degraded(errors.New("replica lost")) })
	add(t, r, "mail", func(context.Context) error { return errors.New("451\n[+]forged ok") }, health.NonFatal())
	add(t, r, "disk", ok, health.In(health.Live|health.Ready))
}

// docker's handler hands the text of errors to everybody.
func TestHandlerFormatsAndDetail(t *testing.T) {
	const secret = `dial tcp 10.0.0.5:5432: pq: password authentication failed for user "admin"`
	never := health.Details(health.Never, nil)
	full := health.Details(health.Full, nil)
	admin := health.Details(health.Full, func(r *http.Request) bool { return r.Header.Get("X-Admin") == "yes" })
	for _, c := range []struct {
		name, target string
		opts         []health.HandlerOption
		header       []string
		code         int
		body         string
	}{
		{"default", "/readyz", nil, nil, 503, `{"db":"reason withheld","orders":"orders are closed"}`},
		{"never", "/readyz", []health.HandlerOption{never}, nil, 503, `{}`},
		{"full", "/readyz", []health.HandlerOption{full}, nil, 503,
			`{"db":"dial tcp 10.0.0.5:5432: pq: password authentication failed for user \"admin\"","orders":"no database"}`},
		{"auth-no", "/readyz", []health.HandlerOption{admin}, nil, 503, `{}`},
		{"auth-yes", "/readyz?verbose", []health.HandlerOption{admin}, []string{"X-Admin", "yes"}, 503,
			"[!]cache warning: replica lost\n[-]db failed: " + secret + "\n[+]disk ok\n[!]mail warning: 451 [+]forged ok\n" +
				"[-]orders failed: no database (caused by db)\nreadyz check failed\n"},
		{"fail-code", "/readyz", []health.HandlerOption{never, health.FailCode(500)}, nil, 500, `{}`},
		{"kubernetes", "/readyz", []health.HandlerOption{health.As(health.Text)}, nil, 503,
			"[!]cache warning: reason withheld\n[-]db failed: reason withheld\n[+]disk ok\n[!]mail warning: reason withheld\n" +
				"[-]orders failed: orders are closed\nreadyz check failed\n"},
		{"kubernetes-never", "/readyz?verbose&exclude=db", []health.HandlerOption{never}, nil, 503, "readyz check failed\n"},
		{"exclude-never", "/readyz?exclude=db&exclude=orders", []health.HandlerOption{never}, nil, 503, `{}`},
		{"exclude", "/readyz?exclude=db&exclude=orders", nil, nil, 200, `{}`},
		{"exclude-verbose", "/readyz?verbose&exclude=db&exclude=orders&exclude=none", nil, nil, 200,
			"[!]cache warning: reason withheld\n[+]db excluded: ok\n[+]disk ok\n[!]mail warning: reason withheld\n" +
				"[+]orders excluded: ok\nwarn: some health checks cannot be excluded: no matches for [\"none\"]\nreadyz check passed\n"},
		{"accept-text-ok", "/readyz?exclude=db&exclude=orders", nil, []string{"Accept", "text/plain"}, 200, "ok"},
		{"accept-health-never", "/readyz", []health.HandlerOption{never}, []string{"Accept", "application/health+json"}, 503, `{"status":"fail"}`},
		{"accept-health", "/readyz", nil, []string{"Accept", "text/html, application/health+json;q=0.9"}, 503,
			`{"status":"fail","checks":{"cache":[{"status":"warn","time":"2000-01-01T00:00:00Z","output":"reason withheld"}],` +
				`"db":[{"status":"fail","time":"2000-01-01T00:00:00Z","output":"reason withheld"}],` +
				`"disk":[{"status":"pass","time":"2000-01-01T00:00:00Z"}],` +
				`"mail":[{"status":"warn","time":"2000-01-01T00:00:00Z","output":"reason withheld"}],` +
				`"orders":[{"status":"fail","time":"2000-01-01T00:00:00Z","output":"orders are closed"}]}}`},
		{"accept-refused", "/readyz", nil, []string{"Accept", "application/health+json;q=0, ;;"}, 503, `{"db":"reason withheld","orders":"orders are closed"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := quiet()
				defer closeRegistry(t, r)
				fleet(t, r)
				synctest.Wait()
				for range 2 { // the second answer may come from a view
					if code, body := get(r.Handler(health.Ready, c.opts...), c.target, c.header...); code != c.code || body != c.body {
						t.Errorf("%d %s\nwant %d %s", code, body, c.code, c.body)
					}
				}
			})
		})
	}
}

func TestHandlerMethodsAndHeaders(t *testing.T) {
	r := quiet()
	srv := httptest.NewServer(r.Mux())
	defer srv.Close()
	for _, path := range []string{"/livez", "/readyz", "/startupz", "/healthz", "/metrics"} {
		for method, code := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
			res, body := ask(t, method, srv.URL+path)
			if res.StatusCode != code {
				t.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, code)
			}
			if code == 405 && res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow %q", method, path, res.Header.Get("Allow"))
			}
			if method == "HEAD" && body != "" {
				t.Errorf("HEAD %s has a body", path)
			}
			if path != "/metrics" && res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s may be cached", method, path)
			}
		}
	}
}

func TestHandlerOfNoGroupIsNotAlwaysHealthy(t *testing.T) {
	r := quiet()
	defer closeRegistry(t, r)
	r.RegisterFunc("bad", func() error { return errors.New("bad") })
	for _, accept := range []string{"", "text/plain"} {
		if code, _ := get(r.Handler(0), "/", "Accept", accept); code != 503 {
			t.Errorf("Accept %q: %d", accept, code)
		}
	}
}

func TestDependencyCycleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		bad := func(context.Context) error { return errors.New("bad") }
		add(t, r, "a", bad, health.DependsOn("b"))
		add(t, r, "b", bad, health.DependsOn("c", "a"))
		add(t, r, "c", bad, health.DependsOn("gone", "a", "c", "d"))
		add(t, r, "d", bad)
		add(t, r, "self", bad, health.DependsOn("self"))
		synctest.Wait()
		for name, res := range r.All() {
			want := map[string]string{"a": "d", "b": "d", "c": "d", "d": "", "self": "self"}[name]
			if res.Cause != want {
				t.Errorf("cause of %s: %q, want %q", name, res.Cause, want)
			}
		}
	})
}

func TestDrain(t *testing.T) {
	r := quiet()
	defer closeRegistry(t, r)
	gate := r.Gate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r.Drain("deploy 7")
	for target, want := range map[string]int{"/readyz": 503, "/healthz": 503, "/livez": 200, "/startupz": 200} {
		if code, _ := get(r.Mux(), target); code != want {
			t.Errorf("%s while draining: %d, want %d", target, code, want)
		}
	}
	if code, _ := get(gate, "/"); code != 200 {
		t.Errorf("gate while draining: %d", code)
	}
	if got := r.CheckStatus()["shutdown"]; got != "deploy 7" {
		t.Errorf("CheckStatus: %q", got)
	}
	r.Resume()
	if got := ready(r); got != 200 {
		t.Errorf("resumed: %d", got)
	}
}

func TestDrainAndShutdownServesUntilTheDelayIsOver(t *testing.T) {
	r := quiet()
	defer closeRegistry(t, r)
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/readyz", r.Handler(health.Ready))
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) { close(entered); <-release; w.WriteHeader(204) })
	ts := httptest.NewServer(mux)
	defer ts.Close()
	slow := make(chan int)
	go func() {
		res, err := http.Get(ts.URL + "/slow")
		if err != nil {
			t.Error(err)
			slow <- 0
			return
		}
		_ = res.Body.Close()
		slow <- res.StatusCode
	}()
	<-entered
	done := make(chan error)
	go func() { done <- r.DrainAndShutdown(t.Context(), ts.Config, 300*time.Millisecond) }()
	for ready(r) == 200 {
		time.Sleep(time.Millisecond)
	}
	if res, _ := ask(t, "GET", ts.URL+"/readyz"); res.StatusCode != 503 {
		t.Errorf("readyz while draining: %d", res.StatusCode)
	}
	close(release)
	if got := <-slow; got != 204 {
		t.Errorf("request in flight: %d", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(ts.URL + "/readyz"); err == nil {
		t.Error("the server still listens")
	}
}

func TestDrainAndShutdownCutsWhatOutlivesItsContext(t *testing.T) {
	r := quiet()
	defer closeRegistry(t, r)
	entered := make(chan struct{})
	ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { close(entered); <-req.Context().Done() }))
	go func() {
		if res, err := http.Get(ts.URL); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.DrainAndShutdown(ctx, ts.Config, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		u := health.NewStatusUpdater()
		r.Register("u", u)
		ctx, cancel := context.WithCancel(t.Context())
		var states []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for s := range r.Watch(ctx, health.Ready) {
				states = append(states, s.State.String())
			}
		}()
		synctest.Wait()
		u.Update(errors.New("bad"))
		synctest.Wait()
		u.Update(errors.New("bad")) // no news
		synctest.Wait()
		u.Update(nil)
		synctest.Wait()
		r.Drain("x")
		synctest.Wait()
		cancel()
		<-done
		if got := strings.Join(states, " "); got != "pass fail pass fail" {
			t.Errorf("states %s", got)
		}
		closeRegistry(t, r)
	})
}

// A hang and a missing heartbeat are told although nothing runs.
func TestOnChangeTellsWhatTimeAloneChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		release := make(chan struct{})
		var changes []string
		begin := time.Now()
		stop := r.OnChange(func(c health.Change) {
			changes = append(changes, time.Since(begin).Round(time.Second).String()+" "+c.Name+" "+c.From.String()+"-"+c.Result.State.String())
			r.Status(health.Any) // under no lock
			if c.Result.State == health.Stale {
				panic("a listener that panics")
			}
		})
		u := health.TTL(30 * time.Second)
		r.Register("ttl", u)
		u.Update(nil)
		synctest.Wait()
		first := true
		add(t, r, "x", func(context.Context) error {
			if first {
				first = false
				return nil
			}
			<-release
			return nil
		}, health.Every(10*time.Second), health.Jitter(0))
		time.Sleep(40 * time.Second)
		close(release)
		synctest.Wait()
		stop()
		u.Update(nil)
		synctest.Wait()
		want := "0s ttl pending-pass, 0s x pending-pass, 15s x pass-hung, 30s ttl pass-stale, 40s x hung-pass"
		if got := strings.Join(changes, ", "); strings.ReplaceAll(got, ", 40s x hung-fail, 40s x fail-pass", ", 40s x hung-pass") != want {
			t.Errorf("changes %s\nwant %s", got, want)
		}
		closeRegistry(t, r)
	})
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "health")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	r := quiet()
	defer closeRegistry(t, r)
	u := health.NewStatusUpdater()
	if _, err := r.AddChecker("db", u, health.Public("read\nonly")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.WriteFile(ctx, health.Ready, path, 20*time.Millisecond) }()
	await := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			text, _ := os.ReadFile(path)
			if string(text) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("file %q, want %q", text, want)
			}
		}
	}
	await("ok\n")
	u.Update(errors.New("secret"))
	await("fail: db fail (read only)\n")
	u.Update(nil)
	await("ok\n")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) < time.Minute {
			if !info.Mode().IsRegular() || info.Mode().Perm() != 0o644 {
				t.Errorf("mode %v", info.Mode())
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the file's time does not move on")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	await("fail: stopped\n")
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("left in the folder: %v %v", names, err)
	}
	if err := r.WriteFile(t.Context(), health.Ready, filepath.Join(dir, "none", "x"), time.Second); err == nil {
		t.Error("a missing folder is no error")
	}
	if err := r.WriteFile(t.Context(), health.Ready, path, 0); err == nil {
		t.Error("an interval of 0 is no error")
	}
}

func TestServeUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.sock")
	r := quiet()
	defer closeRegistry(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.ServeUnix(ctx, path) }()
	client := unixClient(path)
	var res *http.Response
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		var err error
		if res, err = client.Get("http://app/readyz"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("readyz: %s", res.Status)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", info, err)
	}
	if err := r.ServeUnix(ctx, path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second server: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.ServeUnix(t.Context(), path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: %v", err)
	}
}

// A result that changes every time must not make observers ask for the next one.
func TestObserversDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		runs := 0
		add(t, r, "x", func(context.Context) error { runs++; return errors.New(strings.Repeat("x", runs)) }, health.OnDemand(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		path := filepath.Join(t.TempDir(), "health")
		done := make(chan error)
		go func() { done <- r.WriteFile(ctx, health.Ready, path, 10*time.Second) }()
		for range r.Watch(ctx, health.Ready) {
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if runs < 12 || runs > 30 {
			t.Errorf("%d runs in a minute", runs)
		}
		closeRegistry(t, r)
	})
}
