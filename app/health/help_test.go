package health_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"

	"github.com/hardstand/hardstand/app/health"
)

func quiet() *health.Registry { return health.New(health.Logger(slog.New(slog.DiscardHandler))) }

var bubble = regexp.MustCompile(`^goroutine \d+ \[.*(synctest bubble \d+)`)

// goroutines counts those that the package started, in the caller's synctest
// bubble if it is in one: those of earlier tests may still be ending.
func goroutines() int {
	buf := make([]byte, 8<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	in := func(stack string) string {
		if m := bubble.FindStringSubmatch(stack); m != nil {
			return m[1]
		}
		return ""
	}
	n := 0
	for _, stack := range stacks { // the first is the caller's
		if in(stack) == in(stacks[0]) && strings.Contains(stack, "created by github.com/hardstand/hardstand/app/health.") {
			n++
		}
	}
	return n
}

func unixClient(path string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

func newRequest(accept, query string) *http.Request {
	req := httptest.NewRequest("GET", "/readyz", nil)
	req.URL.RawQuery = query
	req.Header["Accept"] = []string{accept}
	return req
}

func answer(h http.Handler, req *http.Request) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}
