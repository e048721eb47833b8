package auditor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestResolveAsksCarefully: what a registry answers that is no digest of the
// asked image leaves the tag as it is, with a reason, and nobody waits for one
// that does not answer.
func TestResolveAsksCarefully(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	manifest := func(w http.ResponseWriter, digest string) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Content-Length", "2")
		w.Header().Set("Docker-Content-Digest", digest)
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string // of the digest or the error
	}{
		{"a digest", func(w http.ResponseWriter, _ *http.Request) { manifest(w, digest) }, digest},
		{"no such tag", http.NotFound, "404"},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "500"},
		{"needs a password", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "401"},
		{"text for a digest", func(w http.ResponseWriter, _ *http.Request) { manifest(w, "sha256:x\" AS y\nRUN evil") }, "hash"},
		{"no digest", func(w http.ResponseWriter, _ *http.Request) { manifest(w, "") }, "Docker-Content-Digest"},
		{"sends its token service elsewhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="file:///etc/passwd",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" && !strings.Contains(c.name, "password") && !strings.Contains(c.name, "token") {
					return
				}
				c.serve(w, r)
			}))
			defer server.Close()
			got, err := new(tags).resolve(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/app:1")
			if strings.HasPrefix(c.want, "sha256:") {
				if err != nil || got != c.want {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v; want an error about %q", got, err, c.want)
			}
		})
	}
	t.Run("does not answer", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		gone := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			select {
			case <-r.Context().Done():
			case <-gone:
			}
		}))
		defer server.Close()
		defer close(gone)
		host := strings.TrimPrefix(server.URL, "http://")
		s := &tags{timeout: 200 * time.Millisecond}
		start := time.Now()
		for _, image := range []string{"/app:1", "/app:2", "/other:1"} {
			if _, err := s.resolve(t.Context(), host+image); err == nil || !strings.Contains(err.Error(), host+" did not answer within 200ms") {
				t.Errorf("%s: %v", image, err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v to give up", took)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times; want once", n)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}))
		defer server.Close()
		s := new(tags)
		if _, err := s.resolve(ctx, strings.TrimPrefix(server.URL, "http://")+"/app:1"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(s.silent) > 0 {
			t.Error("whoever interrupts makes no registry silent")
		}
	})
	t.Run("asked once", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				asked.Add(1)
				manifest(w, digest)
			}
		}))
		defer server.Close()
		s := new(tags)
		for range 2 {
			got, err := s.resolve(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/app:1")
			if err != nil || got != digest {
				t.Errorf("%q, %v", got, err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times; want once", n)
		}
	})
}
