// Package health answers "is this program healthy" to probes, gates and
// schedulers.
//
// It is source-compatible with docker's go-healthcheck: Register,
// RegisterFunc, RegisterPeriodicFunc, StatusHandler, Handler, DefaultRegistry
// and the rest keep their names, signatures and answers on the wire, so a
// program migrates by changing the import path. Importing the package serves
// /debug/health on http.DefaultServeMux; the build tag health_nomux turns that
// off.
//
// New programs use New, Registry.Add and Registry.Handler:
//
//	reg := health.New()
//	defer reg.Close()
//	reg.Add("database", db.PingContext, health.Every(10*time.Second))
//	mux.Handle("/readyz", reg.Handler(health.Ready))
//	mux.Handle("/livez", reg.Handler(health.Live))
//
// A check runs on one goroutine of its own, never on a caller's context and
// never under a lock. It has a timeout, and its result has a maximum age: a
// check that stopped returning is reported as Hung, one that stopped being run
// as Stale, both as failures, without a second goroutine. A panic in a check is
// a failed check. Probes read results without taking a lock.
//
// The package must not import anything outside the standard library.
package health
