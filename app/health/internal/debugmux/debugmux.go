// Package debugmux lets compat/distv3 answer /debug/health, which the health
// package has registered, without the health package knowing of it.
package debugmux

import (
	"net/http"
	"sync/atomic"
)

// Override, when set, serves /debug/health instead of health.StatusHandler.
var Override atomic.Pointer[http.HandlerFunc]
