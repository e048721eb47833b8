package apt_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/debtest"
)

func TestTransientFailuresAreRetried(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"500": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"429": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"cut": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte("part"))
		},
		"hung up": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			a := testArchive(t)
			var n atomic.Int32
			s := a.Serve(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "InRelease") && n.Add(1) <= 2 {
						fail(w)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			if _, err := connect(t, a, s.URL+"/debian").readAll(t.Context(), time.Time{}); err != nil {
				t.Error(err)
			}
			if n.Load() != 3 {
				t.Errorf("%d requests, want 3", n.Load())
			}
		})
	}
}

func TestTruncatedDownloadIsRetriedThenReported(t *testing.T) {
	a := testArchive(t)
	var n atomic.Int32
	s := a.Serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, ".deb") {
				next.ServeHTTP(w, r)
				return
			}
			n.Add(1)
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			w.Header().Set("Content-Length", rec.Header().Get("Content-Length"))
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		})
	})
	c := connect(t, a, s.URL+"/debian")
	_, err := c.readAll(t.Context(), time.Time{})
	if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("error = %v, want an unexpected EOF", err)
	}
	if n.Load() != 4 {
		t.Errorf("%d attempts, want 4", n.Load())
	}
	if left, _ := os.ReadDir(filepath.Join(c.cache.Dir(), "tmp")); len(left) > 0 {
		t.Errorf("partial downloads are left: %v", left)
	}
}

// A mirror that trickles is given up on, and the next one is asked.
func TestSlowMirrorIsGivenUp(t *testing.T) {
	a := testArchive(t)
	slow := a.Serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte("-")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		})
	})
	good := a.Serve(t, nil)
	c := connect(t, a, good.URL+"/debian")
	keys, err := apt.ParseKeyring(a.Key.Public(t))
	if err != nil {
		t.Fatal(err)
	}
	var mirrors []apt.Mirror
	for _, u := range []string{slow.URL, good.URL} {
		m, err := apt.ParseMirror(u + "/debian")
		if err != nil {
			t.Fatal(err)
		}
		mirrors = append(mirrors, m)
	}
	archive, err := apt.New(apt.Options{Cache: c.cache, Mirrors: mirrors, Keyring: &keys, Now: debtest.Epoch.Add(time.Hour),
		Attempts: 1, Stall: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := archive.Release(t.Context(), "trixie", time.Time{}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to give the slow mirror up", took)
	}
}

func TestMirrorsAreTriedInOrder(t *testing.T) {
	a := testArchive(t)
	s := a.Serve(t, nil)
	c := connect(t, a, "http://127.0.0.1:1/debian", s.URL+"/nowhere", s.URL+"/debian")
	if _, err := c.readAll(t.Context(), time.Time{}); err != nil {
		t.Error(err)
	}
	_, err := connect(t, a, "http://127.0.0.1:1/debian").readAll(t.Context(), time.Time{})
	if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1/debian/dists/trixie/InRelease") {
		t.Errorf("error = %v, want it to name the URL that cannot be reached", err)
	}
}

func TestCancelStopsAtOnce(t *testing.T) {
	a := testArchive(t)
	s := a.Serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect(t, a, s.URL+"/debian").readAll(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestHostMirrors(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  []apt.Mirror
	}{
		"one line": {map[string]string{"sources.list": "# x\ndeb [arch=amd64 signed-by=/k] http://m.example/debian bookworm main\ndeb-src http://src.example/debian bookworm main\ndeb http://m.example/debian-security bookworm-security main\ndeb http://third.example/x stable-thing main\n"},
			[]apt.Mirror{{Main: "http://m.example/debian", Security: "http://m.example/debian-security"}}},
		"deb822": {map[string]string{"sources.list.d/debian.sources": "Types: deb\n# comment\nURIs: http://m.example/debian/\nSuites: trixie trixie-updates\nComponents: main\n\nTypes: deb\nURIs: http://s.example/sec\nSuites: trixie-security\nComponents: main\n"},
			[]apt.Mirror{{Main: "http://m.example/debian", Security: "http://s.example/sec"}}},
		"others only": {map[string]string{"sources.list.d/x.sources": "Types: deb\nURIs: https://deb.vendor.example/node\nSuites: nodistro\nComponents: main\n",
			"sources.list.d/y.list": "deb https://vendor.example/apt cloud-bookworm main\n", "sources.list.d/ignored.save": "deb http://no.example/debian trixie main\n"}, nil},
		"disabled": {map[string]string{"sources.list.d/x.sources": "Types: deb\nEnabled: no\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n"}, nil},
		"no apt":   {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for f, text := range tc.files {
				p := filepath.Join(root, "etc/apt", f)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tc.want, apt.HostMirrors(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMirror(t *testing.T) {
	for in, want := range map[string]apt.Mirror{
		"http://m.example/debian/":                 {Main: "http://m.example/debian", Security: "http://m.example/debian-security"},
		"https://m.example/a,https://s.example/b/": {Main: "https://m.example/a", Security: "https://s.example/b"},
		"/srv/debian": {Main: "file:///srv/debian", Security: "file:///srv/debian-security"},
	} {
		got, err := apt.ParseMirror(in)
		if err != nil || got != want {
			t.Errorf("ParseMirror(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "debian", "ftp://x/y", "http:///x", "http://u:p@h/x", "http://h/x?y"} {
		if m, err := apt.ParseMirror(in); err == nil {
			t.Errorf("ParseMirror(%q) = %v, want an error", in, m)
		}
	}
}
