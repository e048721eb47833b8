package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// PanicError is the error of a check that panicked.
type PanicError struct {
	Value any
	Stack []byte // as runtime/debug.Stack formats it
}

func (e *PanicError) Error() string { return fmt.Sprintf("check panicked: %v", e.Value) }

// closeGrace is what a run that is over its timeout gets to end after cancel.
const closeGrace = 100 * time.Millisecond

var errGoexit = errors.New("check called runtime.Goexit")

// runner runs one check, one run at a time: on a goroutine that lasts when
// every is set, on one a run when it is not.
type runner struct {
	cell   *cell
	fn     ContextFunc
	every  time.Duration // 0: on demand
	delay  time.Duration // before the first run
	jitter float64       // share of every by which an interval may differ
	ttl    time.Duration // on demand: an outcome this young is not repeated

	ctx    context.Context
	cancel context.CancelFunc
	kick   chan chan struct{} // asks the loop for a run; closed when it is done
	exited chan struct{}      // closed when the loop ended

	mu     sync.Mutex
	flight chan struct{} // on demand: closed when the run in progress ends
}

func (r *runner) init() {
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.kick, r.exited = make(chan chan struct{}), make(chan struct{})
}

func (r *runner) start() {
	if r.every > 0 {
		go r.loop(r.delay)
	} else {
		close(r.exited)
	}
}

func (r *runner) loop(wait time.Duration) {
	defer func() {
		if r.ctx.Err() != nil {
			close(r.exited)
		} else {
			go r.loop(r.interval()) // the check ended the goroutine: Goexit
		}
	}()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		var asked chan struct{}
		select {
		case <-r.ctx.Done():
			return
		case asked = <-r.kick:
		case <-timer.C:
		}
		if r.ctx.Err() != nil {
			return
		}
		timer.Reset(r.turn(asked))
	}
}

// turn does one run for the loop and returns how long to wait for the next.
func (r *runner) turn(asked chan struct{}) time.Duration {
	if asked != nil {
		defer close(asked)
	}
	if late := r.run(); late {
		// What a run reports that was given up long ago is no news. Look again.
		return 0
	}
	return r.interval()
}

func (r *runner) interval() time.Duration {
	if r.jitter == 0 {
		return r.every
	}
	return time.Duration(float64(r.every) * (1 + r.jitter*(2*rand.Float64()-1)))
}

// run calls the check once and records what it found. It reports whether the
// check succeeded, but after its timeout, which counts as a failure.
func (r *runner) run() (late bool) {
	begin := now()
	r.cell.started.Store(begin)
	err := errGoexit
	defer func() {
		took := time.Duration(now() - begin)
		if late = took > r.cell.timeout && observe(err) != Fail; late {
			err = fmt.Errorf("%w: returned after %v, timeout %v", ErrHung, took, r.cell.timeout)
		}
		r.cell.record(err, took)
	}()
	err = r.call()
	return late
}

func (r *runner) call() (err error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cell.timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return r.fn(ctx)
}

// join returns a channel that is closed when the run in progress ends, after
// starting one if there is none. Only for checks on demand.
func (r *runner) join() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight == nil && r.ctx.Err() == nil {
		done := make(chan struct{})
		r.flight = done
		r.cell.started.Store(now())
		go func() {
			defer close(done)
			defer r.land()
			r.run()
		}()
	}
	if r.flight == nil {
		return closedChan
	}
	return r.flight
}

// flying returns the channel of the run in progress, nil if there is none.
func (r *runner) flying() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flight
}

func (r *runner) land() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight = nil
}

// due reports whether a probe must run the check to have an answer.
func (r *runner) due(t int64) bool {
	if r.every > 0 {
		return false
	}
	out := r.cell.out.Load()
	return r.ttl == 0 || out.runs == 0 || t-out.at > int64(r.ttl)
}

// await waits until done is closed, the run in progress is over its timeout,
// or ctx ends.
func (r *runner) await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	default:
	}
	start := r.cell.started.Load()
	if start == never {
		start = now()
	}
	left := time.Duration(after(start, r.cell.timeout) - now())
	if left < 0 {
		return
	}
	timer := time.NewTimer(left + time.Nanosecond) // Hung means over the timeout
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// runNow does a run that begins after the call, and waits for it.
func (r *runner) runNow(ctx context.Context) {
	if r.every == 0 {
		if earlier := r.flying(); earlier != nil {
			r.await(ctx, earlier)
		}
		r.await(ctx, r.join())
		return
	}
	asked := make(chan struct{})
	timer := time.NewTimer(r.cell.timeout + time.Nanosecond)
	defer timer.Stop()
	select {
	case r.kick <- asked:
		r.await(ctx, asked)
	case <-timer.C:
	case <-r.exited:
	case <-ctx.Done():
	}
}

// stopped waits for the end of the runner's goroutine after cancel, at most
// until its run is over its timeout, and reports whether it ended.
func (r *runner) stopped() bool {
	done := (<-chan struct{})(r.exited)
	if r.every == 0 {
		if done = r.flying(); done == nil {
			return true
		}
	}
	r.await(context.Background(), done)
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
