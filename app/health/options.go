package health

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a check gets when no option says otherwise.
const (
	DefaultEvery   = 10 * time.Second
	DefaultTimeout = 5 * time.Second
	DefaultJitter  = 0.1
)

const (
	maxName     = 200 // bytes of a check's name
	maxInterval = 366 * 24 * time.Hour
)

type settings struct {
	group     Group
	nonFatal  bool
	deps      []string
	public    string
	initial   State
	every     time.Duration
	onDemand  bool
	ttl       time.Duration
	timeout   time.Duration
	maxAge    time.Duration
	delay     time.Duration
	jitter    float64
	failAfter int
	passAfter int
}

func defaults() settings {
	return settings{
		group: Ready, initial: Pending, every: DefaultEvery, timeout: DefaultTimeout,
		jitter: DefaultJitter, failAfter: 1, passAfter: 1,
	}
}

// Option is a setting of one check.
type Option func(*settings)

// Every sets the pause between runs: the check runs at once, and again d after
// each run ended, give or take the jitter.
func Every(d time.Duration) Option { return func(s *settings) { s.every, s.onDemand = d, false } }

// OnDemand runs the check when a probe asks instead of periodically. Probes that
// come while it runs share the run, and those that come within ttl after it
// share its result. The run is not bound to any probe's context.
func OnDemand(ttl time.Duration) Option { return func(s *settings) { s.ttl, s.onDemand = ttl, true } }

// Timeout bounds one run. The check's context ends then; a check that does not
// return is Hung.
func Timeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// MaxAge is how old a result may get before the check is Stale. The default is
// three intervals and a timeout.
func MaxAge(d time.Duration) Option { return func(s *settings) { s.maxAge = d } }

// Jitter spreads the intervals by up to this share of them in both directions,
// so that a fleet does not ask its database in step. 0 to 0.9.
func Jitter(share float64) Option { return func(s *settings) { s.jitter = share } }

// InitialDelay puts off the first run.
func InitialDelay(d time.Duration) Option { return func(s *settings) { s.delay = d } }

// Threshold sets how many failures in a row make the check fail, and how many
// successes in a row end that. The default is 1 and 1.
func Threshold(fail, ok int) Option {
	return func(s *settings) { s.failAfter, s.passAfter = fail, ok }
}

// In puts the check into these groups instead of Ready.
func In(g Group) Option { return func(s *settings) { s.group = g } }

// NonFatal lets the check fail without failing its groups: they are Warn.
func NonFatal() Option { return func(s *settings) { s.nonFatal = true } }

// DependsOn names checks that this one cannot succeed without. When one of them
// fails too, the result names it as the cause.
func DependsOn(names ...string) Option {
	return func(s *settings) { s.deps = append(s.deps, names...) }
}

// InitiallyHealthy lets the check pass until its first run has ended, or its
// timeout has. The default is to refuse traffic until then.
func InitiallyHealthy() Option { return func(s *settings) { s.initial = Pass } }

// Public sets what a handler says instead of "reason withheld" to those who may
// see names but not errors.
func Public(message string) Option { return func(s *settings) { s.public = message } }

func (s *settings) validate(name string) error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if err := validName(name); err != nil {
		errs = append(errs, err)
	}
	if s.group == 0 || s.group&^Any != 0 {
		bad("unknown group %d: use Live, Ready, Startup or several of them", s.group)
	}
	if !s.onDemand && (s.every <= 0 || s.every > maxInterval) {
		bad("interval %v: use more than 0 and at most %v", s.every, time.Duration(maxInterval))
	}
	if s.timeout <= 0 || s.timeout > maxInterval {
		bad("timeout %v: use more than 0 and at most %v", s.timeout, time.Duration(maxInterval))
	}
	if s.delay < 0 || s.maxAge < 0 || s.ttl < 0 {
		bad("a delay, maximum age or time to live is negative")
	}
	if s.jitter < 0 || s.jitter > 0.9 || s.jitter != s.jitter {
		bad("jitter %v: use 0 to 0.9", s.jitter)
	}
	if s.failAfter < 1 || s.passAfter < 1 {
		bad("threshold %d, %d: use at least 1", s.failAfter, s.passAfter)
	}
	return errors.Join(errs...)
}

func validName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("check name of %d bytes: use 1 to %d bytes of UTF-8", len(name), maxName)
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return fmt.Errorf("check name %q: control characters are not allowed", name)
		}
	}
	return nil
}

// age returns the maximum age of a periodic check's results.
func (s *settings) age() time.Duration {
	if s.onDemand {
		return 0 // a probe that finds it too old runs it
	}
	if s.maxAge > 0 {
		return s.maxAge
	}
	return 3*s.every + s.timeout
}

// RegistryOption is a setting of a registry.
type RegistryOption func(*Registry)

// Logger sends changes of state to l instead of slog.Default. The records hold
// the full text of the errors. slog.New(slog.DiscardHandler) turns them off.
func Logger(l *slog.Logger) RegistryOption { return func(r *Registry) { r.logger = l } }
