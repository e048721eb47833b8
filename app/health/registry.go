package health

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is a set of checks. The zero value is ready to use. Methods of a nil
// Registry use DefaultRegistry.
type Registry struct {
	logger *slog.Logger

	gen   atomic.Uint64 // counts changes that may alter an answer
	runs  atomic.Uint64 // counts results, which alter the times in a report
	views [Any + 1]atomic.Pointer[view]
	list  atomic.Pointer[[]*Check] // sorted by name, replaced, never altered
	drain atomic.Pointer[string]

	mu     sync.Mutex // serialises changes of list, and closed
	closed bool

	watch watch
}

// New returns an empty registry.
func New(opts ...RegistryOption) *Registry {
	r := &Registry{}
	for _, o := range opts {
		o(r)
	}
	return r
}

// Check is one entry of a registry.
type Check struct {
	name     string
	group    Group
	nonFatal bool
	deps     []string
	public   string

	registry *Registry
	cell     *cell
	runner   *runner // nil: the cell is told
	checker  Checker // as registered

	announced State // by the registry's watch, which alone uses it
}

// ContextChecker is a Checker that can be told to give up.
type ContextChecker interface {
	Checker
	CheckContext(ctx context.Context) error
}

// ContextFunc is a function as a ContextChecker.
type ContextFunc func(context.Context) error

// Check calls f without a deadline.
func (f ContextFunc) Check() error { return f(context.Background()) }

// CheckContext calls f.
func (f ContextFunc) CheckContext(ctx context.Context) error { return f(ctx) }

// source is a Checker of this package that already holds its result.
type source interface{ source() *cell }

// Add adds a check and starts it. The errors are ErrDuplicate, ErrClosed, and
// those of unusable options.
func (r *Registry) Add(name string, f ContextFunc, opts ...Option) (*Check, error) {
	if f == nil {
		return nil, fmt.Errorf("add check %q: the function is nil", name)
	}
	return r.AddChecker(name, f, opts...)
}

// Add adds a check to DefaultRegistry.
func Add(name string, f ContextFunc, opts ...Option) (*Check, error) {
	return defaultRegistry().Add(name, f, opts...)
}

// AddChecker is Add for a Checker. An Updater, and what PeriodicChecker
// returns, is not run but read; of the options only those about groups,
// dependencies and messages apply to it.
func (r *Registry) AddChecker(name string, c Checker, opts ...Option) (*Check, error) {
	s := defaults()
	for _, o := range opts {
		o(&s)
	}
	if err := s.validate(name); err != nil {
		return nil, fmt.Errorf("add check %q: %w", name, err)
	}
	check, err := r.or().add(name, c, s)
	if err != nil {
		return nil, fmt.Errorf("add check %q: %w", name, err)
	}
	return check, nil
}

func (r *Registry) add(name string, c Checker, s settings) (*Check, error) {
	k, err := r.build(name, c, s)
	if err != nil {
		return nil, err
	}
	if err := r.insert(k); err != nil {
		return nil, err
	}
	k.cell.attach(r)
	if k.runner != nil {
		k.runner.start()
	}
	r.changed()
	return k, nil
}

func (r *Registry) build(name string, c Checker, s settings) (*Check, error) {
	if c == nil {
		return nil, errors.New("the checker is nil")
	}
	k := &Check{
		name: name, group: s.group, nonFatal: s.nonFatal, public: s.public,
		deps: slices.Clone(s.deps), registry: r, checker: c,
	}
	if held, ok := c.(source); ok {
		k.cell = held.source()
	} else {
		k.cell, k.runner = s.build(c)
	}
	return k, nil
}

func (s *settings) build(c Checker) (*cell, *runner) {
	cell := newCell(s.initial)
	cell.timeout, cell.maxAge = s.timeout, s.age()
	cell.failAfter, cell.passAfter = s.failAfter, s.passAfter
	cell.out.Load().at += int64(s.delay) // the first result is due later
	run := &runner{cell: cell, fn: contextFunc(c), delay: s.delay, jitter: s.jitter}
	if s.onDemand {
		run.ttl = s.ttl
	} else {
		run.every = s.every
	}
	run.init()
	return cell, run
}

func contextFunc(c Checker) ContextFunc {
	if cc, ok := c.(ContextChecker); ok {
		return cc.CheckContext
	}
	return func(context.Context) error { return c.Check() }
}

func byName(c *Check, name string) int { return strings.Compare(c.name, name) }

func (r *Registry) checks() []*Check {
	if p := r.list.Load(); p != nil {
		return *p
	}
	return nil
}

func (r *Registry) insert(k *Check) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	old := r.checks()
	i, found := slices.BinarySearchFunc(old, k.name, byName)
	if found {
		return ErrDuplicate
	}
	list := slices.Insert(slices.Clone(old), i, k)
	r.list.Store(&list)
	return nil
}

func (r *Registry) find(name string) *Check {
	list := r.checks()
	if i, ok := slices.BinarySearchFunc(list, name, byName); ok {
		return list[i]
	}
	return nil
}

// Lookup returns the check of that name, nil if there is none.
func (r *Registry) Lookup(name string) *Check { return r.or().find(name) }

// Name returns the name under which the check is registered.
func (c *Check) Name() string { return c.name }

// Checker returns what was registered.
func (c *Check) Checker() Checker { return c.checker }

// Result returns the latest result without running the check.
func (c *Check) Result() Result { return c.registry.explain(c, now()).Result }

// Remove takes the check out of its registry and ends its goroutine, or lets it
// end when the check returns. The name is free at once. A second call does
// nothing.
func (c *Check) Remove() {
	r := c.registry
	r.mu.Lock()
	old := r.checks()
	i := slices.Index(old, c)
	if i >= 0 {
		list := slices.Delete(slices.Clone(old), i, i+1)
		r.list.Store(&list)
	}
	r.mu.Unlock()
	if i < 0 {
		return
	}
	c.stop()
	r.changed()
}

func (c *Check) stop() {
	last := c.cell.detach(c.registry)
	if c.runner != nil {
		c.runner.cancel()
	}
	if p, ok := c.checker.(*periodic); ok && last {
		p.runner.cancel()
	}
}

// RunNow runs the check and returns its result. It waits for a run that began
// after the call, at most until the check is Hung or ctx ends. A check that is
// told its state, such as an Updater, is not run.
func (c *Check) RunNow(ctx context.Context) Result {
	if c.runner != nil {
		c.runner.runNow(ctx)
	}
	return c.Result()
}

// All ranges over the checks by name with their latest results. It runs none.
func (r *Registry) All() iter.Seq2[string, Result] {
	r = r.or()
	return func(yield func(string, Result) bool) {
		t := now()
		for _, c := range r.checks() {
			if !yield(c.name, r.explain(c, t).Result) {
				return
			}
		}
	}
}

// Status returns the state of the group g. It runs the checks that are on
// demand and waits for them, each at most for its timeout.
func (r *Registry) Status(g Group) Snapshot {
	r = r.or()
	r.refresh(context.Background(), g)
	return r.snapshot(g)
}

// Latest is Status from the latest results. It runs no check.
func (r *Registry) Latest(g Group) Snapshot { return r.or().snapshot(g) }

// State returns the state of the group g, Pass, Warn or Fail, like Status but
// without the details, and fast. It waits for checks on demand no longer than
// ctx lasts.
func (r *Registry) State(ctx context.Context, g Group) State {
	if g &= Any; g == 0 {
		g = Any
	}
	return r.or().view(ctx, g).state
}

func (r *Registry) snapshot(g Group) Snapshot {
	s := Snapshot{Group: g, State: Pass, Time: time.Now()}
	if reason := r.drain.Load(); reason != nil && g&Ready != 0 {
		s.Draining, s.State = *reason, Fail
	}
	t := now()
	for _, c := range r.checks() {
		if c.group&g == 0 {
			continue
		}
		n := r.explain(c, t)
		s.State = max(s.State, c.weigh(n.State, g))
		s.Checks = append(s.Checks, n)
	}
	return s
}

// weigh returns what a check in state s makes of the group g: Pass, Warn, Fail.
func (c *Check) weigh(s State, g Group) State {
	switch {
	case s == Pass, s == Warn:
		return s
	case s == Pending && c.group&g&(Ready|Startup) == 0:
		return Pass // a process is not restarted because it is still starting
	case c.nonFatal:
		return Warn
	}
	return Fail
}

func (r *Registry) explain(c *Check, t int64) Named {
	n := Named{Name: c.name, Groups: c.group, Fatal: !c.nonFatal, Result: c.cell.result(t)}
	if n.State.Failing() {
		n.Cause, _ = r.cause(c, t, map[*Check]bool{})
	}
	return n
}

// cause returns the name of a failing check below c, and whether it is a root:
// one that has no failing dependency itself. Only a cycle has none.
func (r *Registry) cause(c *Check, t int64, seen map[*Check]bool) (name string, root bool) {
	seen[c] = true
	for _, dep := range r.failingBelow(c, t) {
		below := r.failingBelow(dep, t)
		if len(below) == 0 {
			return dep.name, true
		}
		if name == "" {
			name = dep.name
		}
		if seen[dep] {
			continue
		}
		if deeper, root := r.cause(dep, t, seen); root {
			return deeper, true
		}
	}
	return name, false
}

func (r *Registry) failingBelow(c *Check, t int64) []*Check {
	var failing []*Check
	for _, name := range c.deps {
		if dep := r.find(name); dep != nil {
			if s, _, _ := dep.cell.eval(t); s.Failing() {
				failing = append(failing, dep)
			}
		}
	}
	return failing
}

// refresh runs the group's checks that are on demand and due, all at once, and
// waits for them.
func (r *Registry) refresh(ctx context.Context, g Group) {
	type flight struct {
		r    *runner
		done <-chan struct{}
	}
	var flights []flight
	t := now()
	for _, c := range r.checks() {
		if c.group&g != 0 && c.runner != nil && c.runner.due(t) {
			flights = append(flights, flight{c.runner, c.runner.join()})
		}
	}
	for _, f := range flights {
		f.r.await(ctx, f.done)
	}
}

func (r *Registry) changed() {
	r.gen.Add(1)
	r.wake()
}

// Close stops all checks and waits for their goroutines. A check that does not
// return within its timeout is given up; the error names those. From then on
// the registry is not Ready and takes no checks.
func (r *Registry) Close() error {
	r = r.or()
	r.mu.Lock()
	r.closed = true
	list := r.checks()
	r.mu.Unlock()
	for _, c := range list {
		c.stop()
	}
	r.Drain(ErrClosed.Error())
	var hung []string
	for _, c := range list {
		if !c.stopped() {
			hung = append(hung, c.name)
		}
	}
	r.watch.close()
	r.keep(gateView, nil)
	if len(hung) > 0 {
		return fmt.Errorf("close health registry: checks still running: %s", strings.Join(hung, ", "))
	}
	return nil
}

func (c *Check) stopped() bool {
	if p, ok := c.checker.(*periodic); ok {
		return p.runner.ctx.Err() == nil || p.runner.stopped()
	}
	return c.runner == nil || c.runner.stopped()
}
