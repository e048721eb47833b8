// Package health has the shape of the health package of distribution v3: its
// names, signatures and answers, on top of app/health. A program that imports
// github.com/distribution/distribution/v3/health changes the import path.
//
// Checks run as those of app/health do: at once, each with a timeout of ten
// seconds, not on the context of a request. The context of CheckStatus only
// bounds how long the caller waits. DefaultRegistry holds the same checks as
// app/health's, so both packages can be used in one program.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hardstand/hardstand/app/health"
	"github.com/hardstand/hardstand/app/health/internal/debugmux"
)

// Checker is a health check.
type Checker interface {
	// Check returns nil if the service is healthy.
	Check(context.Context) error
}

// CheckFunc is a function as a Checker.
type CheckFunc func(context.Context) error

// Check calls f.
func (f CheckFunc) Check(ctx context.Context) error { return f(ctx) }

// Updater is a Checker that is told its status.
type Updater interface {
	Checker

	// Update sets the status that Check returns.
	Update(status error)
}

// Registry is a set of checks. The zero value is ready to use.
type Registry struct {
	once sync.Once
	base *health.Registry // nil with once done: health.DefaultRegistry
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{} }

// DefaultRegistry is the registry of the package-level functions and handlers.
// A program may assign another one at any time. As it is at first, it holds the
// checks of app/health's DefaultRegistry.
var DefaultRegistry = standard()

func standard() *Registry {
	r := &Registry{}
	r.once.Do(func() {}) // a nil base is the default registry
	return r
}

var orphan = standard() // stands in while DefaultRegistry is nil

// loadDefault reads a variable that programs assign with a plain store; see the
// function of that name in app/health.
//
//go:norace
func loadDefault() *Registry { return DefaultRegistry }

func defaultRegistry() *Registry {
	if r := loadDefault(); r != nil {
		return r
	}
	return orphan
}

// Base returns the registry of app/health that holds the checks.
func (registry *Registry) Base() *health.Registry {
	if registry == nil {
		registry = defaultRegistry()
	}
	registry.once.Do(func() { registry.base = health.New() })
	if registry.base == nil {
		return health.Default()
	}
	return registry.base
}

// Register adds a check. It panics if the name is taken.
func (registry *Registry) Register(name string, check Checker) {
	registry.Base().Register(name, adapt(check))
}

// Register adds a check to DefaultRegistry.
func Register(name string, check Checker) { defaultRegistry().Register(name, check) }

// RegisterFunc is Register for a function.
func (registry *Registry) RegisterFunc(name string, check CheckFunc) { registry.Register(name, check) }

// RegisterFunc adds a function to DefaultRegistry.
func RegisterFunc(name string, check CheckFunc) { defaultRegistry().RegisterFunc(name, check) }

// adapt gives an Updater of this package as app/health's, which is read and not
// run.
func adapt(check Checker) health.Checker {
	if u, ok := check.(interface{ checker() health.Checker }); ok {
		return u.checker()
	}
	if check == nil {
		return nil
	}
	return health.ContextFunc(check.Check)
}

// CheckStatus returns the failing checks with the text of their errors.
func (registry *Registry) CheckStatus(ctx context.Context) map[string]string {
	return registry.Base().CheckStatusContext(ctx)
}

// CheckStatus returns the failing checks of DefaultRegistry.
func CheckStatus(ctx context.Context) map[string]string { return defaultRegistry().CheckStatus(ctx) }

type updater struct{ health.Updater }

func (u updater) Check(context.Context) error { return u.Updater.Check() }
func (u updater) checker() health.Checker     { return u.Updater }

// NewStatusUpdater returns an Updater that is healthy until told otherwise.
func NewStatusUpdater() Updater { return updater{health.NewStatusUpdater()} }

// thresholdUpdater shows the end of its polling at once, whatever the threshold.
type thresholdUpdater struct {
	updater
	threshold int
}

func (u thresholdUpdater) Update(status error) {
	times := 1
	if ended := new(pollingTerminatedError); errors.As(status, &ended) {
		times = u.threshold
	}
	for range times {
		u.Updater.Update(status)
	}
}

// NewThresholdStatusUpdater returns an Updater that fails after t updates with
// an error in a row. A t below 1 is 1.
func NewThresholdStatusUpdater(t int) Updater {
	return thresholdUpdater{updater{health.NewThresholdStatusUpdater(t)}, max(t, 1)}
}

type pollingTerminatedError struct{ cause error }

func (e *pollingTerminatedError) Error() string {
	return fmt.Sprintf("health: check is not polled: %v", e.cause)
}

func (e *pollingTerminatedError) Unwrap() error { return e.cause }

// pollTimeout bounds a run of Poll, which is given none.
const pollTimeout = 10 * time.Second

// Poll runs the check c now and then every interval and updates u with the
// result, until ctx ends; then u fails. A run that takes longer than the
// interval, and than ten seconds, makes u fail while it lasts. An interval that
// is not positive is a second.
func Poll(ctx context.Context, u Updater, c Checker, interval time.Duration) {
	if interval <= 0 {
		interval = time.Second
	}
	p := &poll{to: u}
	r := health.New(health.Logger(slog.New(slog.DiscardHandler))) // u is what counts
	defer func() { go func() { _ = r.Close() }() }()              // a hung check must not keep Poll from returning
	stop := r.OnChange(func(ch health.Change) {
		if ch.Result.State == health.Hung {
			p.update(ch.Result.Err)
		}
	})
	defer stop()
	_, err := r.Add("poll", func(run context.Context) error {
		err := c.Check(withValues{run, ctx})
		p.update(err)
		return err
	}, health.Every(interval), health.Jitter(0), health.Timeout(max(interval, pollTimeout)))
	if err != nil {
		p.update(err)
	}
	<-ctx.Done()
	p.end(&pollingTerminatedError{ctx.Err()})
}

// withValues is the context of a run, with the values of the one that Poll got.
type withValues struct {
	context.Context
	values context.Context
}

func (c withValues) Value(key any) any {
	if v := c.Context.Value(key); v != nil { // such as what cancels it
		return v
	}
	return c.values.Value(key)
}

// poll keeps a run that ends late from replacing the word that polling is over.
type poll struct {
	mu   sync.Mutex
	to   Updater
	over bool
}

func (p *poll) update(status error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.to.Update(status)
	}
}

func (p *poll) end(status error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.to.Update(status)
}

// StatusHandler answers GET with the failing checks of DefaultRegistry as a JSON
// object: 200 and {} when there is none, else 503.
func StatusHandler(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	write(w, defaultRegistry().CheckStatus(r.Context()))
}

func write(w http.ResponseWriter, failing map[string]string) {
	text, err := json.Marshal(failing)
	if err != nil { // a map of strings always marshals
		http.Error(w, "health status cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Cache-Control", "no-store")
	if len(failing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(text) // the client is gone; there is nobody to tell
}

// Handler passes requests to h while DefaultRegistry has no failing check, and
// answers 503 otherwise.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defaultRegistry().Base().Gate(h).ServeHTTP(w, r)
	})
}

// debug serves /debug/health, which belongs to app/health, for both packages.
func debug(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	failing := CheckStatus(r.Context())
	for name, text := range health.CheckStatus() {
		if _, taken := failing[name]; !taken {
			failing[name] = text
		}
	}
	write(w, failing)
}

func init() {
	h := http.HandlerFunc(debug)
	debugmux.Override.Store(&h)
}
