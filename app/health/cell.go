package health

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what a cell knew after its latest update. It is immutable.
type outcome struct {
	state    State // Pending, Pass, Warn or Fail
	err      error
	text     string
	since    int64
	at       int64 // when it was recorded
	lastRun  int64
	lastOK   int64
	took     time.Duration
	failures int
	passes   int
	runs     uint64
	failed   uint64
}

// cell holds the latest outcome of a check. Readers take no lock: Hung and
// Stale are not stored but follow from the clock, so they show even when
// nothing in the program runs any more.
type cell struct {
	timeout   time.Duration // of a run; 0: nobody runs it, it is told
	maxAge    time.Duration // of an outcome; 0: no limit
	failAfter int           // failures in a row before they show
	passAfter int           // successes in a row that end a failure

	started atomic.Int64 // of the run in progress, or never
	out     atomic.Pointer[outcome]

	mu     sync.Mutex // serialises writers
	owners atomic.Pointer[[]*Registry]
}

func newCell(initial State) *cell {
	c := &cell{failAfter: 1, passAfter: 1}
	c.started.Store(never)
	t := now()
	c.out.Store(&outcome{state: initial, since: t, at: t, lastRun: never, lastOK: never})
	return c
}

// eval returns the state at instant t and the instant until which it holds
// unless the cell reports a change.
func (c *cell) eval(t int64) (State, *outcome, int64) {
	until := int64(forever)
	start, out := c.started.Load(), c.out.Load()
	switch {
	case c.timeout == 0:
	case start == never:
		// A run may begin the next moment, and hang.
		until = after(t, c.timeout)
	case t-start > int64(c.timeout):
		return Hung, out, forever
	default:
		until = after(start, c.timeout)
	}
	if c.maxAge > 0 {
		if t-out.at > int64(c.maxAge) {
			return Stale, out, until
		}
		until = min(until, after(out.at, c.maxAge))
	}
	return out.state, out, until
}

// problem returns the error of a state that eval returned, nil for Pass.
func (c *cell) problem(s State, out *outcome) error {
	switch s {
	case Pass:
		return nil
	case Pending:
		return ErrPending
	case Hung:
		start := c.started.Load()
		if start == never {
			return ErrHung // it has just been released
		}
		return fmt.Errorf("%w: running since %s, timeout %v", ErrHung, stamp(wall(start)), c.timeout)
	case Stale:
		return fmt.Errorf("%w: from %s, maximum age %v", ErrStale, stamp(wall(out.at)), c.maxAge)
	}
	return out.err
}

func (c *cell) err() error {
	s, out, _ := c.eval(now())
	return c.problem(s, out)
}

func (c *cell) result(t int64) Result {
	s, out, _ := c.eval(t)
	r := Result{
		State: s, Err: c.problem(s, out), Since: wall(out.since),
		Took: out.took, Failures: out.failures, Runs: out.runs, Failed: out.failed,
	}
	if out.lastRun != never {
		r.LastRun = wall(out.lastRun)
	}
	if out.lastOK != never {
		r.LastOK = wall(out.lastOK)
	}
	if start := c.started.Load(); start != never {
		r.Running = time.Duration(t - start)
		if s == Hung {
			r.Since = wall(after(start, c.timeout))
		}
	}
	if s == Stale {
		r.Since = wall(after(out.at, c.maxAge))
	}
	return r
}

// record stores what a run or an update found and tells the owners when the
// answer to a probe may have changed.
func (c *cell) record(err error, took time.Duration) {
	t := now()
	c.mu.Lock()
	prev := c.out.Load()
	next := c.follow(prev, err, took, t)
	c.out.Store(next)
	c.mu.Unlock()
	c.started.Store(never)
	c.ran()
	same := next.state == prev.state && next.text == prev.text
	expired := c.maxAge > 0 && t-prev.at > int64(c.maxAge)
	overran := c.timeout > 0 && took > c.timeout
	if same && !expired && !overran {
		return
	}
	c.changed()
}

func (c *cell) follow(prev *outcome, err error, took time.Duration, t int64) *outcome {
	next := *prev
	next.at, next.lastRun, next.took = t, t, took
	next.runs++
	seen := observe(err)
	if seen == Fail {
		next.failures, next.passes = next.failures+1, 0
		next.failed++
	} else {
		next.failures, next.passes = 0, next.passes+1
		next.lastOK = t
	}
	up := prev.state == Pass || prev.state == Warn
	show := next.failures >= c.failAfter
	if seen != Fail {
		show = up || next.passes >= c.passAfter
	}
	if show {
		next.state, next.err, next.text = seen, err, errorText(err)
	}
	if next.state != prev.state {
		next.since = t
	}
	return &next
}

func (c *cell) ran() {
	if owners := c.owners.Load(); owners != nil {
		for _, r := range *owners {
			r.runs.Add(1)
		}
	}
}

func (c *cell) changed() {
	if owners := c.owners.Load(); owners != nil {
		for _, r := range *owners {
			r.changed()
		}
	}
}

func (c *cell) attach(r *Registry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*Registry
	if old := c.owners.Load(); old != nil {
		list = append(list, *old...)
	}
	list = append(list, r)
	c.owners.Store(&list)
}

// detach undoes one attach and reports whether no owner is left.
func (c *cell) detach(r *Registry) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.owners.Load()
	if old == nil {
		return true
	}
	var list []*Registry
	removed := false
	for _, o := range *old {
		if o == r && !removed {
			removed = true
			continue
		}
		list = append(list, o)
	}
	c.owners.Store(&list)
	return len(list) == 0
}

// errorText calls err.Error, which is code of the application and may panic,
// for instance on a typed nil.
func errorText(err error) (text string) {
	if err == nil {
		return ""
	}
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("error of type %T has no text: its Error method panics", err)
		}
	}()
	return err.Error()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
