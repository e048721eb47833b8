package peers

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	docker "github.com/docker/distribution/health"

	"github.com/hardstand/hardstand/app/health"
)

// TestSameAnswersAsDocker drives both packages through the same random life of
// updaters, threshold updaters and functions, and compares all they say.
func TestSameAnswersAsDocker(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		health.DefaultRegistry, docker.DefaultRegistry = health.NewRegistry(), docker.NewRegistry()
		type pair struct {
			a health.Updater
			b docker.Updater
		}
		var updaters []pair
		var current error
		next := func() error {
			texts := []string{"", "", "down", `<a href="x">`, "\xff\x00", "line\nline", "\u2028"}
			if text := texts[rnd.IntN(len(texts))]; text != "" {
				return errors.New(text)
			}
			return nil
		}
		for i := range rnd.IntN(6) {
			name := fmt.Sprintf("u%d\"<%d", rnd.IntN(1000), i)
			p := pair{health.NewStatusUpdater(), docker.NewStatusUpdater()}
			if threshold := rnd.IntN(4); threshold > 0 {
				p = pair{health.NewThresholdStatusUpdater(threshold), docker.NewThresholdStatusUpdater(threshold)}
			}
			health.Register(name, p.a)
			docker.Register(name, p.b)
			updaters = append(updaters, p)
		}
		if rnd.IntN(2) == 0 {
			health.RegisterFunc("f", func() error { return current })
			docker.RegisterFunc("f", func() error { return current })
		}
		app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		for range 20 {
			current = next()
			for _, p := range updaters {
				err := next()
				p.a.Update(err)
				p.b.Update(err)
				if fmt.Sprint(p.a.Check()) != fmt.Sprint(p.b.Check()) {
					t.Fatalf("seed %d: updater says %v, docker's %v", seed, p.a.Check(), p.b.Check())
				}
			}
			if a, b := health.CheckStatus(), docker.CheckStatus(); !maps.Equal(a, b) {
				t.Fatalf("seed %d: %v, docker %v", seed, a, b)
			}
			method := []string{"GET", "HEAD", "POST", "PUT"}[rnd.IntN(4)]
			same(t, seed, method, http.HandlerFunc(health.StatusHandler), http.HandlerFunc(docker.StatusHandler))
			same(t, seed, method, health.Handler(app), docker.Handler(app))
		}
	}
}

func same(t *testing.T, seed uint64, method string, a, b http.Handler) {
	t.Helper()
	wa, wb := httptest.NewRecorder(), httptest.NewRecorder()
	a.ServeHTTP(wa, httptest.NewRequest(method, "/", nil))
	b.ServeHTTP(wb, httptest.NewRequest(method, "/", nil))
	wa.Header().Del("Cache-Control") // the one header that docker's lacks
	if wa.Code != wb.Code || wa.Body.String() != wb.Body.String() || fmt.Sprint(wa.Header()) != fmt.Sprint(wb.Header()) {
		t.Fatalf("seed %d, %s:\n%d %v %q\ndocker\n%d %v %q", seed, method, wa.Code, wa.Header(), wa.Body, wb.Code, wb.Header(), wb.Body)
	}
}

// Both are linked: GET goes to app/health, whose patterns are more specific.
func TestLinkedWithDockersPackage(t *testing.T) {
	health.DefaultRegistry, docker.DefaultRegistry = health.NewRegistry(), docker.NewRegistry()
	docker.RegisterFunc("docker", func() error { return errors.New("down") })
	health.RegisterFunc("hardstand", func() error { return errors.New("down") })
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest("GET", "/debug/health", nil))
	if want := `{"hardstand":"down"}`; w.Body.String() != want {
		t.Errorf("%s, want %s", w.Body, want)
	}
}
