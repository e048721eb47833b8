package health

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// DefaultRegistry is the registry of the package-level functions and handlers.
// A program may assign another one at any time; handlers read it on every
// request.
var DefaultRegistry = NewRegistry()

var orphan Registry // stands in while DefaultRegistry is nil

// Programs assign DefaultRegistry with a plain store while handlers read it.
// The load below is one word, hence never torn, and what it finds is usable in
// any state of initialisation, because a zero Registry is. The race detector
// cannot know that a published variable is meant to be used this way.
//
//go:norace
func loadDefault() *Registry { return DefaultRegistry }

func defaultRegistry() *Registry {
	if r := loadDefault(); r != nil {
		return r
	}
	return &orphan
}

// Default returns DefaultRegistry as it is now. It is never nil.
func Default() *Registry { return defaultRegistry() }

func (r *Registry) or() *Registry {
	if r == nil {
		return defaultRegistry()
	}
	return r
}

// What the functions below, which know no timeouts, allow a check.
const (
	registerTimeout = 10 * time.Second
	minPeriod       = time.Second // for a period that is not positive
)

// Checker is a health check.
type Checker interface {
	// Check returns nil if the service is healthy.
	Check() error
}

// CheckFunc is a function as a Checker.
type CheckFunc func() error

// Check calls f.
func (f CheckFunc) Check() error { return f() }

// Updater is a Checker that is told its status.
type Updater interface {
	Checker

	// Update sets the status that Check returns.
	Update(status error)
}

type updater struct{ cell *cell }

func (u *updater) Check() error        { return u.cell.err() }
func (u *updater) Update(status error) { u.cell.record(status, 0) }
func (u *updater) source() *cell       { return u.cell }

// NewRegistry returns an empty registry; it is New without options.
func NewRegistry() *Registry { return New() }

// NewStatusUpdater returns an Updater that is healthy until told otherwise.
func NewStatusUpdater() Updater { return &updater{newCell(Pass)} }

// NewThresholdStatusUpdater returns an Updater that fails after t updates with
// an error in a row, and is healthy again after one without. A t below 1 is 1.
func NewThresholdStatusUpdater(t int) Updater {
	u := &updater{newCell(Pass)}
	u.cell.failAfter = max(t, 1)
	return u
}

// TTL returns an Updater that must be told within every d that all is well. It
// is Pending until the first update, and Stale when one is overdue. A d that is
// not positive makes it always Stale.
func TTL(d time.Duration) Updater {
	u := &updater{newCell(Pending)}
	u.cell.maxAge = max(d, 1)
	return u
}

// periodic is what PeriodicChecker returns. Its runner does not refer to it, so
// that the runner can be stopped when nobody can ask for the result any more.
type periodic struct{ runner *runner }

func (p *periodic) Check() error  { return p.runner.cell.err() }
func (p *periodic) source() *cell { return p.runner.cell }

// PeriodicChecker runs check now and then every period, and returns the latest
// result when asked; until the first, it is healthy. It stops with the registry
// it is registered in, or when it is dropped. A run may take a period, and at
// least ten seconds; then it fails as Hung. A period that is not positive is a
// second.
func PeriodicChecker(check Checker, period time.Duration) Checker {
	return PeriodicThresholdChecker(check, period, 1)
}

// PeriodicThresholdChecker is PeriodicChecker with an error shown only after
// threshold failures in a row.
func PeriodicThresholdChecker(check Checker, period time.Duration, threshold int) Checker {
	s := periodicSettings(period, threshold)
	_, run := s.build(check)
	p := &periodic{run}
	runtime.AddCleanup(p, func(r *runner) { r.cancel() }, run)
	run.start()
	return p
}

func periodicSettings(period time.Duration, threshold int) settings {
	s := defaults()
	if period <= 0 {
		period = minPeriod
	}
	s.every, s.timeout = min(period, maxInterval), max(min(period, maxInterval), registerTimeout)
	s.jitter, s.initial = 0, Pass
	s.failAfter = max(threshold, 1)
	return s
}

// CheckStatus returns the failing checks with the text of their errors. Checks
// that were registered as such run, all at once, each for at most ten seconds.
func (r *Registry) CheckStatus() map[string]string {
	return r.CheckStatusContext(context.Background())
}

// CheckStatusContext is CheckStatus that waits no longer than ctx lasts. The
// checks themselves do not run on ctx.
func (r *Registry) CheckStatusContext(ctx context.Context) map[string]string {
	r = r.or()
	r.refresh(ctx, Any)
	snap := r.snapshot(Any)
	failing := map[string]string{}
	if snap.Draining != "" {
		failing["shutdown"] = snap.Draining
	}
	for i := range snap.Checks {
		n := &snap.Checks[i]
		if n.Fatal && (n.State.Failing() || n.State == Pending && n.Groups != Live) {
			failing[n.Name] = errorText(n.Err)
		}
	}
	return failing
}

// CheckStatus returns the failing checks of DefaultRegistry.
func CheckStatus() map[string]string { return defaultRegistry().CheckStatus() }

// Register adds a check that is run whenever a probe asks, unless it is an
// Updater or periodic, in the Ready group: docker's package knows no others, and
// a failing dependency is no reason to restart. It panics if the name is taken.
func (r *Registry) Register(name string, check Checker) {
	s := defaults()
	s.onDemand, s.timeout = true, registerTimeout
	r.mustAdd(name, check, s)
}

func (r *Registry) mustAdd(name string, check Checker, s settings) {
	switch _, err := r.or().add(name, check, s); err {
	case nil:
	case ErrDuplicate:
		panic("Check already exists: " + name)
	default:
		panic(fmt.Sprintf("register check %q: %v", name, err))
	}
}

// Register adds a check to DefaultRegistry.
func Register(name string, check Checker) { defaultRegistry().Register(name, check) }

// RegisterFunc is Register for a function.
func (r *Registry) RegisterFunc(name string, check func() error) {
	r.Register(name, CheckFunc(check))
}

// RegisterFunc adds a function to DefaultRegistry.
func RegisterFunc(name string, check func() error) { defaultRegistry().RegisterFunc(name, check) }

// RegisterPeriodicFunc adds a check that runs now and then every period, under
// the terms of PeriodicChecker.
func (r *Registry) RegisterPeriodicFunc(name string, period time.Duration, check CheckFunc) {
	r.mustAdd(name, check, periodicSettings(period, 1))
}

// RegisterPeriodicFunc adds a periodic check to DefaultRegistry.
func RegisterPeriodicFunc(name string, period time.Duration, check CheckFunc) {
	defaultRegistry().RegisterPeriodicFunc(name, period, check)
}

// RegisterPeriodicThresholdFunc is RegisterPeriodicFunc with an error shown only
// after threshold failures in a row.
func (r *Registry) RegisterPeriodicThresholdFunc(name string, period time.Duration, threshold int, check CheckFunc) {
	r.mustAdd(name, check, periodicSettings(period, threshold))
}

// RegisterPeriodicThresholdFunc adds a periodic check to DefaultRegistry.
func RegisterPeriodicThresholdFunc(name string, period time.Duration, threshold int, check CheckFunc) {
	defaultRegistry().RegisterPeriodicThresholdFunc(name, period, threshold, check)
}

// Header values are shared by all answers; assigning the slice to the canonical
// key saves the allocations of Header.Set.
var (
	typeDocker = []string{"application/json; charset=utf-8"}
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
)

// StatusHandler answers GET with the failing checks of DefaultRegistry and the
// full text of their errors as a JSON object: 200 and {} when there is none,
// else 503. Other methods are answered 404. To disclose less, use
// Registry.Handler.
func StatusHandler(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	v := defaultRegistry().view(r.Context(), Any)
	b := v.docker(Full)
	h := w.Header()
	h["Content-Type"], h["Content-Length"], h["Cache-Control"] = typeDocker, b.length, noStore
	code := http.StatusOK
	if v.state == Fail {
		code = http.StatusServiceUnavailable
	}
	w.WriteHeader(code)
	_, _ = w.Write(b.text) // the client is gone; there is nobody to tell
}

const unavailable = `{"errors":[{"code":"UNAVAILABLE","message":"service unavailable",` +
	`"detail":"health check failed: please see /debug/health"}]}` + "\n"

// Handler passes requests to h while DefaultRegistry has no failing check, and
// answers 503 otherwise. Draining does not count: a server that drains still
// serves what reaches it.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if defaultRegistry().view(r.Context(), gateView).state != Fail {
			h.ServeHTTP(w, r)
			return
		}
		refuse(w)
	})
}

// Gate is Handler for this registry.
func (r *Registry) Gate(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.or().view(req.Context(), gateView).state != Fail {
			h.ServeHTTP(w, req)
			return
		}
		refuse(w)
	})
}

func refuse(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = typeDocker, noStore
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(unavailable))
}

// muxOnce serves /debug/health on http.DefaultServeMux. The pattern of every
// method is spelled out because those are more specific than the bare
// "/debug/health" of docker's package, which may be linked as well: neither
// init panics, in either order.
var muxOnce = sync.OnceFunc(func() {
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		http.Handle(m+" /debug/health", debugHandler{})
	}
})
