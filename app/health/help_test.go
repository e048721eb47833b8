package health_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"

	"github.com/hardstand/hardstand/app/health"
)

func quiet() *health.Registry { return health.New(health.Logger(slog.New(slog.DiscardHandler))) }

// goroutines counts those that execute or were started by the package, in the
// whole process but for the ones the tests themselves are.
func goroutines() int {
	buf := make([]byte, 8<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "created by github.com/hardstand/hardstand/app/health.") {
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
