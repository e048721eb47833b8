//go:build !health_nomux

package api

import "net/http"

// The patterns name the methods for the same reason as those of the health
// package: docker's package may register the bare paths.
func init() {
	register()
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		http.HandleFunc(m+" /debug/health/down", DownHandler)
		http.HandleFunc(m+" /debug/health/up", UpHandler)
	}
}
