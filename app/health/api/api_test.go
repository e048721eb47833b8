package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/api"
)

func post(h http.HandlerFunc, edit func(*http.Request)) int {
	req := httptest.NewRequest("POST", "http://app.example/debug/health/down", nil)
	if edit != nil {
		edit(req)
	}
	w := httptest.NewRecorder()
	h(w, req)
	return w.Code
}

func swapDefault(t *testing.T) *health.Registry {
	old := health.DefaultRegistry
	health.DefaultRegistry = health.NewRegistry()
	t.Cleanup(func() { health.DefaultRegistry = old })
	return health.DefaultRegistry
}

// docker's handlers act on the registry of start-up: after the program has
// assigned another, down answers 200 and changes nothing.
func TestSwitchFollowsTheDefaultRegistry(t *testing.T) {
	swapDefault(t)
	for range 2 {
		if code := post(api.DownHandler, nil); code != 200 {
			t.Fatalf("down: %d", code)
		}
		if got := health.CheckStatus(); len(got) != 1 || got["manual_http_status"] != "Manual Check" {
			t.Errorf("after down: %v", got)
		}
	}
	health.DefaultRegistry = health.NewRegistry()
	if got := health.CheckStatus(); len(got) != 0 {
		t.Errorf("a new registry: %v", got)
	}
	post(api.DownHandler, nil)
	if got := health.CheckStatus(); len(got) != 1 {
		t.Errorf("down again: %v", got)
	}
	post(api.UpHandler, nil)
	if got := health.CheckStatus(); len(got) != 0 {
		t.Errorf("after up: %v", got)
	}
}

func TestSwitchAtOnce(t *testing.T) {
	swapDefault(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if code := post(api.DownHandler, nil); code != 200 {
				t.Errorf("down: %d", code)
			}
		})
	}
	wg.Wait()
	if got := health.CheckStatus(); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// With docker's handlers a page in an operator's browser can take the program
// out of service.
func TestSwitchRefusesOtherSitesForms(t *testing.T) {
	swapDefault(t)
	for name, c := range map[string]struct {
		header map[string]string
		code   int
	}{
		"curl":              {nil, 200},
		"same-origin":       {map[string]string{"Origin": "http://app.example", "Sec-Fetch-Site": "same-origin"}, 200},
		"cross-site":        {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"same-site":         {map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"origin-of-old-one": {map[string]string{"Origin": "http://evil.example"}, 403},
	} {
		code := post(api.UpHandler, func(r *http.Request) {
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
		})
		if code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
	}
}

func TestSwitchWithTokenAndLoopback(t *testing.T) {
	r := health.New()
	s := api.NewSwitch(api.SwitchOptions{Token: "t0ken", LoopbackOnly: true, Registry: r})
	for name, c := range map[string]struct {
		from, authorization string
		code                int
	}{
		"good":       {"127.0.0.1:1", "Bearer t0ken", 200},
		"good-ipv6":  {"[::1]:1", "Bearer t0ken", 200},
		"no-token":   {"127.0.0.1:1", "", 403},
		"wrong":      {"127.0.0.1:1", "Bearer t0keN", 403},
		"prefix":     {"127.0.0.1:1", "Bearer t0ke", 403},
		"bare":       {"127.0.0.1:1", "t0ken", 403},
		"elsewhere":  {"10.0.0.1:1", "Bearer t0ken", 403},
		"no-address": {"", "Bearer t0ken", 403},
	} {
		code := post(s.Down, func(req *http.Request) {
			req.RemoteAddr = c.from
			if c.authorization != "" {
				req.Header.Set("Authorization", c.authorization)
			}
		})
		if code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
		down := len(r.CheckStatus()) == 1
		if down != (code == 200) {
			t.Errorf("%s: answered %d, down %v", name, code, down)
		}
		if k := r.Lookup("manual_http_status"); k != nil {
			k.Remove()
		}
	}
}

func TestSwitchDoesNotReplaceAnotherCheck(t *testing.T) {
	r := health.New()
	r.RegisterFunc("manual_http_status", func() error { return errors.New("mine") })
	s := api.NewSwitch(api.SwitchOptions{Registry: r})
	if code := post(s.Up, nil); code != 409 {
		t.Errorf("up: %d, want 409", code)
	}
}
