// Package checks has the shape of the health/checks package of distribution v3.
package checks

import (
	"context"
	"net/http"
	"time"

	base "github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/checks"
	health "github.com/hardstand/hardstand/app/health/compat/distv3"
)

func adapt(c base.Checker) health.Checker {
	if cc, ok := c.(base.ContextChecker); ok {
		return health.CheckFunc(cc.CheckContext)
	}
	return health.CheckFunc(func(context.Context) error { return c.Check() })
}

// FileChecker fails when a file exists at f, or when that cannot be told.
func FileChecker(f string) health.Checker { return adapt(checks.FileChecker(f)) }

// HTTPChecker sends HEAD to r and fails unless the status code is statusCode. A
// timeout of 0 is ten seconds.
func HTTPChecker(r string, statusCode int, timeout time.Duration, headers http.Header) health.Checker {
	return adapt(checks.HTTPChecker(r, statusCode, timeout, headers))
}

// TCPChecker fails unless a TCP connection to addr can be made. A timeout of 0
// is ten seconds.
func TCPChecker(addr string, timeout time.Duration) health.Checker {
	return adapt(checks.TCPChecker(addr, timeout))
}
